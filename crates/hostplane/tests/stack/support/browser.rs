//! As much of a browser as a person with cookies needs. It reaches sites through Caddy alone.

use std::collections::BTreeMap;

use reqwest::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};

pub struct Browser {
    client: Client,
    port: u16,
    cookies: BTreeMap<String, String>,
}

pub struct Page {
    pub status: u16,
    pub location: Option<String>,
    pub body: String,
}

impl Page {
    /// The text between two others, the first of which comes after another one.
    pub fn between(&self, after: &str, before: &str, end: &str) -> String {
        let body = self.body.replace("&amp;", "&").replace("&#038;", "&");
        let found = body.split_once(after).and_then(|(_, rest)| rest.split_once(before));
        let found = found.and_then(|(_, rest)| rest.split_once(end));
        found.unwrap_or_else(|| panic!("no {after} … {before} … {end} in {body}")).0.to_owned()
    }
}

/// A file that is chosen in a form.
pub struct Chosen<'a> {
    pub field: &'a str,
    pub name: &'a str,
    pub content: &'a [u8],
}

/// The body of a request.
struct Payload {
    content_type: String,
    bytes: Vec<u8>,
}

impl Browser {
    pub fn new(port: u16) -> Self {
        let client = Client::builder().redirect(Policy::none()).no_proxy().build().expect("a client");
        Self { client, port, cookies: BTreeMap::new() }
    }

    pub async fn get(&mut self, site: &str, path: &str) -> Page {
        self.send(Method::GET, site, path, None, &[]).await
    }

    pub async fn get_with(&mut self, site: &str, path: &str, headers: &[(&str, &str)]) -> Page {
        self.send(Method::GET, site, path, None, headers).await
    }

    pub async fn post(&mut self, site: &str, path: &str, form: &[(&str, &str)]) -> Page {
        let pairs: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let content_type = "application/x-www-form-urlencoded".to_owned();
        let payload = Payload { content_type, bytes: pairs.join("&").into_bytes() };
        self.send(Method::POST, site, path, Some(payload), &[]).await
    }

    pub async fn post_json(&mut self, site: &str, path: &str, json: &str, headers: &[(&str, &str)]) -> Page {
        let payload = Payload { content_type: "application/json".to_owned(), bytes: json.as_bytes().to_vec() };
        self.send(Method::POST, site, path, Some(payload), headers).await
    }

    /// Sends a form with a file.
    pub async fn upload(&mut self, site: &str, path: &str, form: &[(&str, &str)], file: &Chosen<'_>) -> Page {
        let boundary = "----the-browser-of-a-test";
        let mut bytes = Vec::with_capacity(file.content.len() + 1024);
        for (name, value) in form {
            let part = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            bytes.extend_from_slice(part.as_bytes());
        }
        let Chosen { field, name, content } = file;
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(content);
        bytes.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let payload = Payload { content_type: format!("multipart/form-data; boundary={boundary}"), bytes };
        self.send(Method::POST, site, path, Some(payload), &[]).await
    }

    async fn send(
        &mut self,
        method: Method,
        site: &str,
        path: &str,
        payload: Option<Payload>,
        headers: &[(&str, &str)],
    ) -> Page {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self
            .client
            .request(method, format!("http://127.0.0.1:{}{path}", self.port))
            .header(HOST, format!("{site}.localhost:{}", self.port))
            .header(COOKIE, cookies.join("; "));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(Payload { content_type, bytes }) = payload {
            request = request.header(CONTENT_TYPE, content_type).body(bytes);
        }
        let response = request.send().await.expect("Caddy answers");
        for cookie in response.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str().expect("a cookie").split(';').next().expect("a pair").to_owned();
            let (name, value) = pair.split_once('=').expect("name and value");
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = response.headers().get(LOCATION).map(|value| value.to_str().expect("text").to_owned());
        Page { status: response.status().as_u16(), location, body: response.text().await.expect("a body") }
    }
}

fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
