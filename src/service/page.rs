//! The clerk's page, embedded in the binary.

use axum::http::header;
use axum::response::{IntoResponse, Response};

struct File {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const PICTURE: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! page_file {
    ($name:literal, $content_type:expr) => {
        File {
            path: concat!("/", $name),
            content_type: $content_type,
            bytes: include_bytes!(concat!("page/", $name)),
        }
    };
}

/// Every file of the page; `/` is `/index.html`.
const FILES: &[File] = &[
    page_file!("index.html", HTML),
    page_file!("call.js", SCRIPT),
    page_file!("capture.js", SCRIPT),
    page_file!("chat.js", SCRIPT),
    page_file!("clerk.css", CSS),
    page_file!("clerk.js", SCRIPT),
    page_file!("devices.js", SCRIPT),
    page_file!("element.js", SCRIPT),
    page_file!("i18n.js", SCRIPT),
    page_file!("icon-ring.svg", PICTURE),
    page_file!("icon.svg", PICTURE),
    page_file!("im.js", SCRIPT),
    page_file!("link.js", SCRIPT),
    page_file!("lobby.js", SCRIPT),
    page_file!("login.js", SCRIPT),
    page_file!("meter.js", SCRIPT),
    page_file!("ring.js", SCRIPT),
    page_file!("rtcroom.js", SCRIPT),
    page_file!("seat.js", SCRIPT),
    page_file!("settings.js", SCRIPT),
    page_file!("standin.js", SCRIPT),
    page_file!("ticket.js", SCRIPT),
    page_file!("tiles.js", SCRIPT),
    page_file!("weapp.js", SCRIPT),
    page_file!("whip.js", SCRIPT),
    page_file!("words.js", SCRIPT),
];

/// The file at this path. `public_url` is where the API is, when that may be another origin than the page's.
pub(super) fn file(path: &str, public_url: Option<&str>) -> Option<Response> {
    let path = if path == "/" { "/index.html" } else { path };
    let file = FILES.iter().find(|file| file.path == path)?;
    let elsewhere = public_url.map(origin).unwrap_or_default();
    let policy = format!(
        "default-src 'self'; connect-src 'self' ws: wss: {elsewhere}; media-src 'self' blob:; style-src 'self'; \
         img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    let headers = [
        (header::CONTENT_TYPE, file.content_type),
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::HeaderName::from_static("permissions-policy"), "camera=(self), microphone=(self)"),
    ];
    Some((headers, file.bytes).into_response())
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at);
    // Nothing that would start another directive.
    if url.contains([';', ',', ' ']) { "" } else { &url[..end] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_page_is_embedded() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/service/page");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .expect("the page's folder")
            .map(|entry| format!("/{}", entry.expect("an entry").file_name().to_string_lossy()))
            .collect();
        let mut embedded: Vec<String> = FILES.iter().map(|file| file.path.to_owned()).collect();
        there.sort();
        embedded.sort();
        assert_eq!(there, embedded);
    }

    #[test]
    fn the_origin_is_cut_out_of_an_address() {
        assert_eq!(origin("https://rooms.bank:8443/base"), "https://rooms.bank:8443");
        assert_eq!(origin("https://rooms.bank"), "https://rooms.bank");
        assert_eq!(origin("https://a; script-src *"), "");
    }
}
