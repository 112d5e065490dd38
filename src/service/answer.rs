//! Answers: HTTP 200 and JSON for every application outcome (section 1).

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::rooms::Denied;
use crate::room::wire::code;

/// A refusal with its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// One of [`code`].
    pub code: i32,
    /// For people.
    pub message: String,
}

impl Refused {
    /// A refusal.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The request is not as it has to be.
    pub fn request(message: impl Into<String>) -> Self {
        Self::new(code::BAD_REQUEST, message)
    }
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        Self::new(denied.code(), denied.to_string())
    }
}

/// What an operation comes to: fields beside `code` and `message`, or a refusal.
pub type Outcome = Result<Map<String, Value>, Refused>;

/// A success with these fields.
pub fn success(fields: Value) -> Outcome {
    match fields {
        Value::Object(map) => Ok(map),
        _ => Ok(Map::new()),
    }
}

/// The answer on the wire.
#[must_use]
pub fn respond(outcome: Outcome) -> Response {
    let body = match outcome {
        Ok(mut map) => {
            map.insert("code".to_owned(), code::OK.into());
            map.insert("message".to_owned(), "请求成功".into());
            Value::Object(map)
        }
        Err(Refused { code, message }) => json!({ "code": code, "message": message }),
    };
    respond_json(StatusCode::OK, &body)
}

/// No such path, or not by this method: a code that is not 0, for clients that never look at the status.
#[must_use]
pub fn not_found() -> Response {
    let body = json!({ "code": code::BAD_REQUEST, "message": "there is nothing at this address" });
    respond_json(StatusCode::NOT_FOUND, &body)
}

/// JSON that nobody may keep.
#[must_use]
pub fn respond_json(status: StatusCode, body: &Value) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "application/json; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (status, headers, body.to_string()).into_response()
}
