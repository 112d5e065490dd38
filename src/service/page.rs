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
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Every file of the page; `/` is `/index.html`.
const FILES: &[File] = &[
    File { path: "/index.html", content_type: HTML, bytes: include_bytes!("page/index.html") },
    File { path: "/clerk.css", content_type: CSS, bytes: include_bytes!("page/clerk.css") },
    File { path: "/clerk.js", content_type: SCRIPT, bytes: include_bytes!("page/clerk.js") },
    File { path: "/rtcroom.js", content_type: SCRIPT, bytes: include_bytes!("page/rtcroom.js") },
    File { path: "/i18n.js", content_type: SCRIPT, bytes: include_bytes!("page/i18n.js") },
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
    fn the_origin_is_cut_out_of_an_address() {
        assert_eq!(origin("https://rooms.bank:8443/base"), "https://rooms.bank:8443");
        assert_eq!(origin("https://rooms.bank"), "https://rooms.bank");
        assert_eq!(origin("https://a; script-src *"), "");
    }
}
