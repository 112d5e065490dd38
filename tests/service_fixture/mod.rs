//! A real server on port 0, and members who talk to it over HTTP and WebSockets.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, dead_code)]

use std::sync::Once;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::{Method, RequestBuilder};
use rtcroom_kiosk::room::user_sig::Mint;
use rtcroom_kiosk::service::config::Config;
use rtcroom_kiosk::service::keys;
use rtcroom_kiosk::service::server::Server;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

pub const APP: u64 = 1_400_000_001;
/// Nothing here takes longer unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(10);

pub struct Service {
    /// Without the final slash.
    pub url: String,
    keys: TempDir,
    stop: Option<oneshot::Sender<()>>,
    task: tokio::task::JoinHandle<()>,
}

pub fn http() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap()
}

impl Service {
    pub async fn dev() -> Self {
        Self::start(Config::dev().unwrap(), tempfile::tempdir().unwrap()).await
    }

    /// With tickets, and these lines in roomservice.toml.
    pub async fn configured(lines: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        keys::generate(&dir.path().join("keys")).unwrap();
        let path = dir.path().join("roomservice.toml");
        let tickets = "[tickets]\npublic_key = \"keys/public.pem\"\nsecret_file = \"keys/secret.hex\"\n";
        std::fs::write(&path, format!("sdk_app_id = {APP}\n{tickets}{lines}")).unwrap();
        Self::start(Config::load(&path).unwrap(), dir).await
    }

    async fn start(mut config: Config, keys: TempDir) -> Self {
        config.listen = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(config).await.unwrap();
        let url = server.url().trim_end_matches('/').to_owned();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async move {
            let _ = stopped.await;
        }));
        Self { url, keys, stop: Some(stop), task }
    }

    pub async fn stop(mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        timeout(Duration::from_secs(3), &mut self.task).await.expect("the server stops within 3 s").unwrap();
    }

    /// A ticket by the server's own key.
    pub fn ticket(&self, user: &str, made: u64, life: u64) -> String {
        let pem = std::fs::read(self.keys.path().join("keys/private.pem")).unwrap();
        Mint::from_private_pem(&pem).unwrap().mint(user, APP, made, life).unwrap()
    }

    pub fn ticket_v2(&self, user: &str, made: u64, life: u64) -> String {
        let secret = std::fs::read_to_string(self.keys.path().join("keys/secret.hex")).unwrap();
        Mint::from_secret(&secret).unwrap().mint(user, APP, made, life).unwrap()
    }

    pub async fn login_with(&self, user: &str, user_sig: &str) -> Value {
        let query = format!("accountType=0&sdkAppID={APP}&userSig={user_sig}&userID={user}");
        let url = format!("{}/weapp/double_room/login?{query}", self.url);
        http().post(url).send().await.unwrap().json().await.unwrap()
    }

    /// Logs a user in, in the double rooms.
    pub async fn member(&self, user: &str) -> Member {
        let ticket = if self.keys.path().join("keys").exists() {
            self.ticket(user, now(), 3600)
        } else {
            let url = format!("{}/weapp/utils/get_login_info?userID={user}", self.url);
            let info: Value = http().get(url).send().await.unwrap().json().await.unwrap();
            info["userSig"].as_str().unwrap().to_owned()
        };
        let login = self.login_with(user, &ticket).await;
        assert_eq!(login["code"], 0, "{login}");
        Member {
            user: user.to_owned(),
            token: login["token"].as_str().unwrap().to_owned(),
            url: self.url.clone(),
            kind: "double_room",
            http: http(),
        }
    }
}

pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

#[derive(Clone)]
pub struct Member {
    pub user: String,
    pub token: String,
    pub url: String,
    pub kind: &'static str,
    pub http: reqwest::Client,
}

impl Member {
    pub fn of_kind(&self, kind: &'static str) -> Self {
        Self { kind, ..self.clone() }
    }

    pub fn request(&self, operation: &str) -> RequestBuilder {
        let Self { user, token, url, kind, http } = self;
        http.request(Method::POST, format!("{url}/weapp/{kind}/{operation}?userID={user}&token={token}"))
    }

    /// An operation with this body; what it answers.
    pub async fn ask(&self, operation: &str, body: Value) -> Value {
        let answer = self.request(operation).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200, "always 200");
        let answer: Value = answer.json().await.unwrap();
        assert!(answer["message"].is_string(), "{answer}");
        answer
    }

    /// Its code.
    pub async fn code(&self, operation: &str, body: Value) -> i64 {
        self.ask(operation, body).await["code"].as_i64().unwrap()
    }

    pub async fn push_url(&self) -> String {
        let answer = self.ask("get_push_url", json!({ "userID": self.user })).await;
        answer["pushURL"].as_str().unwrap().to_owned()
    }

    pub async fn enter(&self, room: &str) -> i64 {
        let url = self.push_url().await;
        self.enter_with(room, &url).await
    }

    pub async fn enter_with(&self, room: &str, push_url: &str) -> i64 {
        let body = json!({
            "roomID": room, "userID": self.user, "userName": self.user.to_uppercase(), "userAvatar": "",
            "pushURL": push_url, "roomInfo": "info",
        });
        self.code("add_pusher", body).await
    }

    pub async fn leave(&self, room: &str) -> i64 {
        self.code("delete_pusher", json!({ "roomID": room, "userID": self.user })).await
    }

    pub async fn beat(&self, room: &str) -> i64 {
        self.code("pusher_heartbeat", json!({ "roomID": room, "userID": self.user })).await
    }

    /// Who is in, or the code.
    pub async fn pushers(&self, room: &str) -> Result<Vec<String>, i64> {
        let answer = self.ask("get_pushers", json!({ "roomID": room })).await;
        match answer["code"].as_i64().unwrap() {
            0 => Ok(answer["pushers"].as_array().unwrap().iter().map(|p| text(&p["userID"])).collect()),
            code => Err(code),
        }
    }

    /// The rooms in the list.
    pub async fn rooms(&self) -> Vec<String> {
        let answer = self.ask("get_room_list", json!({ "cnt": 200, "index": 0 })).await;
        answer["rooms"].as_array().unwrap().iter().map(|room| text(&room["roomID"])).collect()
    }

    pub async fn socket(&self) -> Socket {
        let mut socket = self.try_socket().await.unwrap();
        assert_eq!(socket.next().await, json!({ "type": "hello", "userID": self.user }));
        socket
    }

    pub async fn try_socket(&self) -> Result<Socket, tokio_tungstenite::tungstenite::Error> {
        let host = self.url.strip_prefix("http://").unwrap();
        let tcp = TcpStream::connect(host).await.unwrap();
        let (stream, _) =
            client_async(format!("ws://{host}/im?userID={}&token={}", self.user, self.token), tcp).await?;
        Ok(Socket { stream })
    }
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

pub struct Socket {
    stream: WebSocketStream<TcpStream>,
}

impl Socket {
    pub async fn send(&mut self, frame: Value) {
        self.send_raw(&frame.to_string()).await;
    }

    pub async fn send_raw(&mut self, frame: &str) {
        self.stream.send(Message::text(frame)).await.unwrap();
    }

    /// The next frame, pings left out.
    pub async fn next(&mut self) -> Value {
        loop {
            match timeout(PATIENCE, self.stream.next())
                .await
                .expect("a frame")
                .expect("an open socket")
                .unwrap()
            {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next frame of this type; hints about rooms, and what comes before, are skipped.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The next frame that is no hint about rooms.
    pub async fn next_event(&mut self) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] != "rooms" {
                return frame;
            }
        }
    }

    /// The code the server closes with; what comes before is skipped.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match timeout(PATIENCE, self.stream.next()).await.expect("the end") {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return 0,
            }
        }
    }
}
