//! The message socket: a WebSocket made of an HTTP/1.1 upgrade over the same client as everything else, so that
//! private authority, client certificate and proxy hold for it too.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::client::Client;
use super::connect::TIMEOUT;
use super::exchange::{cut, failure_of, host_of, read_body};
use super::failure::Failure;
use super::wire::{IM_FRAME_LIMIT, ImEvent, ImRequest};

/// The server pings every 10 s; silence for three times that is a dead connection.
const SILENCE: Duration = Duration::from_secs(30);
const BUFFER: usize = 4 * 1024;

/// An open message socket.
#[derive(Debug)]
pub struct Socket {
    socket: WebSocketStream<reqwest::Upgraded>,
    host: String,
}

impl Client {
    /// Opens the message socket of the user logged in.
    pub async fn open_im(&self) -> Result<Socket, Failure> {
        let address = self.im_address();
        let host = host_of(&address);
        let key = generate_key();
        let mut request =
            self.http.get(&address).header("connection", "Upgrade").header("upgrade", "websocket");
        request = request.header("sec-websocket-version", "13").header("sec-websocket-key", &key);
        if let Some(token) = self.token() {
            request = request.bearer_auth(token);
        }
        // No timeout on the request itself: it would also end the socket that comes of it.
        let silent = |_| Failure::TimedOut { host: host.clone(), secs: TIMEOUT.as_secs() };
        let mut response =
            timeout(TIMEOUT, request.send()).await.map_err(silent)?.map_err(|e| failure_of(&e))?;
        if response.status() != reqwest::StatusCode::SWITCHING_PROTOCOLS {
            let status = response.status().as_u16();
            let body = timeout(TIMEOUT, read_body(&mut response, IM_FRAME_LIMIT)).await.map_err(silent)?;
            let message = cut(&String::from_utf8_lossy(&body.unwrap_or_default()));
            return Err(Failure::Status {
                operation: "the message socket",
                host,
                status,
                message,
                retry_after: None,
            });
        }
        let nonsense = |detail: &str| Failure::Nonsense {
            operation: "the message socket",
            host: host.clone(),
            detail: detail.into(),
        };
        let accept =
            response.headers().get("sec-websocket-accept").map(reqwest::header::HeaderValue::as_bytes);
        if accept != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
            return Err(nonsense("it is no WebSocket"));
        }
        let upgraded = response.upgrade().await.map_err(|error| nonsense(&error.to_string()))?;
        let config = WebSocketConfig::default()
            .read_buffer_size(BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(64 * 1024)
            .max_message_size(Some(IM_FRAME_LIMIT))
            .max_frame_size(Some(IM_FRAME_LIMIT));
        let socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, Some(config)).await;
        Ok(Socket { socket, host })
    }
}

impl Socket {
    /// The next event; answers pings meanwhile. Frames that are no event are left out.
    pub async fn next(&mut self) -> Result<ImEvent, Failure> {
        loop {
            let closed = |detail: String| Failure::Unreachable { host: self.host.clone(), detail };
            let frame = timeout(SILENCE, self.socket.next()).await;
            let frame =
                frame.map_err(|_| Failure::TimedOut { host: self.host.clone(), secs: SILENCE.as_secs() })?;
            let frame = frame.ok_or_else(|| closed("the message socket ended".into()))?;
            match frame.map_err(|error| closed(error.to_string()))? {
                Message::Text(text) => match serde_json::from_str(&text) {
                    Ok(event) => return Ok(event),
                    Err(error) => log::debug!("message socket: {error}"),
                },
                Message::Close(_) => return Err(closed("the message socket was closed".into())),
                _ => {}
            }
        }
    }

    /// Sends a request.
    pub async fn send(&mut self, request: &ImRequest) -> Result<(), Failure> {
        let failed = |detail: String| Failure::Unreachable { host: self.host.clone(), detail };
        let text = serde_json::to_string(request).map_err(|error| failed(error.to_string()))?;
        let silent = |_| Failure::TimedOut { host: self.host.clone(), secs: TIMEOUT.as_secs() };
        let sent = timeout(TIMEOUT, self.socket.send(Message::text(text))).await.map_err(silent)?;
        sent.map_err(|error| failed(error.to_string()))
    }
}
