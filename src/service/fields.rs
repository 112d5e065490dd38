//! Query and body as the clients send them (section 1): JSON under any content type, or a form.

use axum::extract::Query;
use axum::http::Uri;
use serde_json::{Map, Value};

use super::answer::Refused;

/// The query's fields.
#[derive(Clone, Debug, Default)]
pub struct QueryFields(Vec<(String, String)>);

impl QueryFields {
    /// Of a request. What does not parse has no fields.
    #[must_use]
    pub fn of(uri: &Uri) -> Self {
        Self(Query::try_from_uri(uri).map(|Query(pairs)| pairs).unwrap_or_default())
    }

    /// The first field of this name that is not empty.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(k, v)| k == key && !v.is_empty()).map(|(_, value)| value.as_str())
    }
}

/// The body's fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a body. An empty one has no fields.
    pub fn parse(content_type: &str, body: &[u8]) -> Result<Self, Refused> {
        let body = body.trim_ascii();
        if body.is_empty() {
            return Ok(Self::default());
        }
        let is_form =
            content_type.trim_start().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded");
        // curl sends JSON under the form type when not told otherwise.
        if is_form && !body.starts_with(b"{") {
            return Self::parse_form(body);
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(map)) => Ok(Self(map)),
            _ => Err(Refused::request("the body is not a JSON object")),
        }
    }

    fn parse_form(body: &[u8]) -> Result<Self, Refused> {
        let uri = std::str::from_utf8(body).ok().and_then(|text| format!("/?{text}").parse::<Uri>().ok());
        let pairs = uri.and_then(|uri| Query::<Vec<(String, String)>>::try_from_uri(&uri).ok());
        let Query(pairs) = pairs.ok_or_else(|| Refused::request("the body is not a form"))?;
        Ok(Self(pairs.into_iter().map(|(key, value)| (key, Value::String(value))).collect()))
    }

    /// The value as it is.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// A text of at most `limit` bytes, if it is there. A number counts as its digits.
    pub fn optional(&self, key: &str, limit: usize) -> Result<Option<String>, Refused> {
        let text = match self.0.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(_) => return Err(Refused::request(format!("{key} is not a string"))),
        };
        if text.len() > limit {
            return Err(Refused::request(format!("{key} is longer than {limit} bytes")));
        }
        Ok(Some(text))
    }

    /// A text that has to be there; it may be empty.
    pub fn text(&self, key: &str, limit: usize) -> Result<String, Refused> {
        self.optional(key, limit)?.ok_or_else(|| Refused::request(format!("{key} is absent")))
    }

    /// A whole number that has to be there, as a number or as digits.
    pub fn number(&self, key: &str) -> Result<i64, Refused> {
        let value = self.0.get(key).ok_or_else(|| Refused::request(format!("{key} is absent")))?;
        let number = match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| Refused::request(format!("{key} is not a whole number")))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bodies_of_every_client_are_read() {
        let json: &[u8] = br#"{"roomID":"r","cnt":3}"#;
        for kind in ["application/json", "application/json; charset=utf-8", "text/xml", "text/plain", "", "x"]
        {
            let fields = Fields::parse(kind, json).unwrap();
            assert_eq!(fields.text("roomID", 9).unwrap(), "r", "{kind}");
        }
        let form = "application/x-www-form-urlencoded";
        assert_eq!(Fields::parse(form, json).unwrap().text("roomID", 9).unwrap(), "r");
        let fields = Fields::parse(form, b"roomID=a%20b%2Bc+d&cnt=20").unwrap();
        assert_eq!(fields.text("roomID", 9).unwrap(), "a b+c d");
        assert_eq!(fields.number("cnt").unwrap(), 20);
        assert_eq!(Fields::parse("application/json", b" \n").unwrap(), Fields::default());
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in ["[]", "1", "{", "null", "\"a\"", "{}x", "\u{fffd}"] {
            assert_eq!(Fields::parse("application/json", body.as_bytes()).unwrap_err().code, 1, "{body}");
        }
        assert!(Fields::parse("application/x-www-form-urlencoded", b"\xff\xfe").is_err());
    }

    #[test]
    fn values_of_the_wrong_kind_are_refused() {
        let fields = Fields::parse("", br#"{"a":{},"b":null,"c":"12345","d":7,"e":1.5}"#).unwrap();
        assert!(fields.text("a", 9).is_err());
        assert!(fields.text("b", 9).is_err());
        assert!(fields.text("c", 4).is_err());
        assert_eq!(fields.text("d", 9).unwrap(), "7");
        assert!(fields.number("e").is_err());
        assert_eq!(fields.number("c").unwrap(), 12345);
    }
}
