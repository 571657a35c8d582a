//! The Engine's stream of events.

use std::collections::HashMap;

use bollard::Docker as Client;
use bollard::errors::Error as BollardError;
use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptions;
use futures_util::stream::{BoxStream, StreamExt};

use super::classify::{CallSubject, effect_error};
use crate::containers::EngineEvent;
use crate::error::Effect;

pub(super) const CALL: &str = "docker.events";

/// Events that may be drift. Starts and creations are none.
const DRIFT_EVENTS: [&str; 8] = ["die", "oom", "pause", "destroy", "disconnect", "rename", "update", "health_status"];

/// Streams the events since a time of the Engine's own clock. The Engine remembers few events (256 in version 20.10),
/// so only a scan closes a gap.
pub(super) fn since(client: &Client, engine_time: &str) -> BoxStream<'static, Effect<EngineEvent>> {
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    let filters = HashMap::from([
        ("type".to_owned(), words(&["container", "volume", "network"])),
        ("event".to_owned(), words(&DRIFT_EVENTS)),
    ]);
    let options = EventsOptions { since: unix_time(engine_time), filters: Some(filters), ..EventsOptions::default() };
    // The stream borrows the client only to build its request.
    Box::pin(client.events(Some(options)).filter_map(async |found| read(found).transpose()))
}

fn read(found: Result<EventMessage, BollardError>) -> Effect<Option<EngineEvent>> {
    found.map(event).map_err(|error| effect_error(CallSubject::read(CALL, "events", ""), error))
}

/// Converts a time to seconds and a fraction, the form of the Engine's `since`.
fn unix_time(text: &str) -> Option<String> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(format!("{}.{:09}", time.as_second(), time.subsec_nanosecond()))
}

/// Converts a message to an event of a named object. Its texts are hostile, and only compared.
fn event(message: EventMessage) -> Option<EngineEvent> {
    let actor = message.actor?;
    let mut attributes = actor.attributes.unwrap_or_default();
    let name = match message.typ? {
        // A volume's id is its name.
        EventMessageTypeEnum::VOLUME => actor.id?,
        EventMessageTypeEnum::CONTAINER | EventMessageTypeEnum::NETWORK => attributes.remove("name")?,
        _ => return None,
    };
    Some(EngineEvent { name, action: message.action?, labels: attributes.into_iter().collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: serde_json::Value) -> Option<EngineEvent> {
        event(serde_json::from_value(json).unwrap())
    }

    #[test]
    fn an_event_names_its_object() {
        let died = serde_json::json!({
            "Type": "container", "Action": "die",
            "Actor": {"ID": "7c1d", "Attributes": {"name": "php_a", "hostplane.site": "a", "exitCode": "137"}},
        });
        let died = read(died).unwrap();
        assert_eq!((died.name.as_str(), died.action.as_str()), ("php_a", "die"));
        assert_eq!(died.labels["hostplane.site"], "a");
        let volume = serde_json::json!({
            "Type": "volume", "Action": "destroy", "Actor": {"ID": "wp_a", "Attributes": {"driver": "local"}},
        });
        assert_eq!(read(volume).unwrap().name, "wp_a");
        let network = serde_json::json!({
            "Type": "network", "Action": "disconnect",
            "Actor": {"ID": "9f", "Attributes": {"container": "7c1d", "name": "site_a", "type": "bridge"}},
        });
        assert_eq!(read(network).unwrap().name, "site_a");
    }

    #[test]
    fn a_message_without_a_name_is_no_event() {
        for json in [
            serde_json::json!({}),
            serde_json::json!({"Type": "container", "Action": "die", "Actor": {"ID": "7c1d"}}),
            serde_json::json!({"Type": "volume", "Actor": {"ID": "wp_a"}}),
            serde_json::json!({"Type": "image", "Action": "delete", "Actor": {"ID": "x", "Attributes": {"name": "x"}}}),
        ] {
            assert_eq!(read(json.clone()), None, "{json}");
        }
    }

    #[test]
    fn times_are_converted_to_seconds() {
        assert_eq!(unix_time("2026-11-24T00:00:00.000000007Z").as_deref(), Some("1795478400.000000007"));
        assert_eq!(unix_time("yesterday"), None);
    }
}
