//! A row of the control database that can't be read: lists show the others, and name it.

use serde_json::json;
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::harness::Harness;

/// Two sites in service, of which one's row is spoilt.
async fn spoilt() -> Harness {
    let harness = Harness::running().await;
    for site in ["broken", "whole"] {
        harness.active(site).await;
    }
    let file = SqliteConnectOptions::new().filename(harness.home.default_database());
    let mut database = SqliteConnection::connect_with(&file).await.unwrap();
    let statement = "UPDATE sites SET spec = '{' WHERE name = 'broken'";
    assert_eq!(sqlx::query(statement).execute(&mut database).await.unwrap().rows_affected(), 1);
    database.close().await.unwrap();
    harness
}

#[tokio::test]
async fn a_page_names_it() {
    let harness = spoilt().await;
    let page = harness.get("/api/v1/sites").await.body;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["name"], "whole");
    let row = &page["unreadable"][0];
    assert_eq!((&row["table"], &row["site"]), (&json!("sites"), &json!("broken")));
    assert!(row["message"].as_str().unwrap().contains("sites.spec"), "{row}");
    assert!(row["hint"].as_str().unwrap().contains(row["id"].as_str().unwrap()), "{row}");

    let whole = harness.get("/api/v1/sites?prefix=who").await.body;
    assert_eq!(whole.get("unreadable"), None, "only what belongs to the page");
}

#[tokio::test]
async fn the_command_line_names_it_once() {
    let harness = spoilt().await;
    let (out, err) = harness.done(&["site", "list"]).await;
    assert!(out.contains("whole") && !out.contains("broken"), "{out}");
    assert_eq!(err.matches("left out: row ").count(), 1, "{err}");
    assert!(err.contains("sqlite3"), "{err}");
}

#[tokio::test]
async fn an_upgrade_of_all_sites_does_not_pass_over_it() {
    let harness = spoilt().await;
    let (code, _, err) = harness.cli(&["site", "upgrade", "--all"]).await;
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("left out: row ") && err.contains("were not upgraded"), "{err}");
}
