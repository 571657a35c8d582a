//! WordPress's answer to a signed question, parsed. Whatever runs in the site may have written it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hostplane_domain::health::{Fatal, Health, Stage};
use serde::Deserialize;

/// Longest text of an answer that is kept, in characters.
const TEXT_LIMIT: usize = 200;

#[derive(Deserialize)]
struct Answer {
    v: u32,
    nonce: String,
    stage: Stage,
    status: u16,
    database: bool,
    fatal: Option<FatalAnswer>,
    location: Option<String>,
}

#[derive(Deserialize)]
struct FatalAnswer {
    file: String,
    line: u32,
}

#[derive(Deserialize)]
struct ResetAnswer {
    nonce: String,
    reset: bool,
}

/// The health in a body of JSON. `None` when it isn't an answer to the question with this nonce.
pub(super) fn health(json: &[u8], nonce: &str) -> Option<Health> {
    let answer: Answer = serde_json::from_slice(json).ok()?;
    let Answer { v: 1, stage, status, database, fatal, location, .. } = answer else { return None };
    let fatal = fatal.map(|fatal| Fatal { file: printable(&fatal.file), line: fatal.line });
    let health = Health { stage, status, database, fatal, location: location.as_deref().map(printable) };
    (answer.nonce == nonce).then_some(health)
}

/// The health in the header of a page.
pub(super) fn health_of_page(header: &[u8], nonce: &str) -> Option<Health> {
    health(&BASE64_STANDARD.decode(header).ok()?, nonce)
}

/// True when PHP forgot its compiled code in answer to the question with this nonce.
pub(super) fn is_reset(json: &[u8], nonce: &str) -> bool {
    serde_json::from_slice(json).is_ok_and(|answer: ResetAnswer| answer.nonce == nonce && answer.reset)
}

/// A text of the site's that can be shown: of bounded length, and without what a terminal would obey.
fn printable(text: &str) -> String {
    text.chars().take(TEXT_LIMIT).map(|c| if c.is_ascii_graphic() || c.is_alphanumeric() { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(nonce: &str, file: &str) -> String {
        let fatal = serde_json::json!({ "file": file, "line": 3 });
        serde_json::json!({ "v": 1, "nonce": nonce, "stage": "init", "status": 500, "database": true, "fatal": fatal,
            "location": null, "wordpress": "6.8", "php": "8.4" })
        .to_string()
    }

    #[test]
    fn only_the_answer_to_this_question_counts() {
        let health_of = |text: String| health(text.as_bytes(), "11");
        assert!(health_of(answer("11", "a.php")).is_some_and(|health| health.stage == Stage::Init));
        assert_eq!(health_of(answer("22", "a.php")), None);
        assert_eq!(health_of(answer("11", "a.php").replace("\"v\":1", "\"v\":2")), None);
        assert_eq!(health_of(answer("11", "a.php").replace("init", "perfect")), None);
        for hostile in ["", "null", "[]", "{}", "<html>", "{\"v\":1,\"nonce\":\"11\"}"] {
            assert_eq!(health_of(hostile.to_owned()), None, "{hostile}");
        }
        let header = BASE64_STANDARD.encode(answer("11", "a.php"));
        assert!(health_of_page(header.as_bytes(), "11").is_some() && health_of_page(b"?", "11").is_none());
        assert!(is_reset(br#"{"v":1,"nonce":"11","reset":true}"#, "11"));
        assert!(!is_reset(br#"{"v":1,"nonce":"11","reset":false}"#, "11"));
        assert!(!is_reset(br#"{"v":1,"nonce":"22","reset":true}"#, "11"));
    }

    #[test]
    fn texts_of_the_site_are_cut_and_printable() {
        let hostile = format!("é\u{1b}[2J\n\u{202e}{}", "x".repeat(5000));
        let file = health(answer("11", &hostile).as_bytes(), "11").unwrap().fatal.unwrap().file;
        assert!(file.starts_with("é?[2J??xxx") && file.chars().count() == TEXT_LIMIT, "{file}");
    }
}
