//! The fields of a row, each named `table.column` for the error that says which one can't be read.

use std::str::FromStr;

use hostplane_infra::clock::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::{Decode, Row as _, Type};

use super::dialect::{Database, Row};
use super::{StoreError, Stored};

/// A field as the driver gives it.
pub(super) fn get<'r, T: Decode<'r, Database> + Type<Database>>(row: &'r Row, field: &'static str) -> Stored<T> {
    let column = field.rsplit('.').next().unwrap_or(field);
    row.try_get(column).map_err(|error| match error {
        sqlx::Error::ColumnDecode { .. } => StoreError::Corrupt(field),
        error => error.into(),
    })
}

/// A field with a text form of its own.
pub(super) fn parsed<T: FromStr>(row: &Row, field: &'static str) -> Stored<T> {
    parse(get(row, field)?, field)
}

/// The same, of a field that may be NULL.
pub(super) fn optional<T: FromStr>(row: &Row, field: &'static str) -> Stored<Option<T>> {
    get::<Option<&str>>(row, field)?.map(|text| parse(text, field)).transpose()
}

/// A field with JSON that may be NULL.
pub(super) fn json<T: DeserializeOwned>(row: &Row, field: &'static str) -> Stored<Option<T>> {
    get::<Option<&str>>(row, field)?.map(|json| from_json(json, field)).transpose()
}

/// A moment that may be NULL.
pub(super) fn time(row: &Row, field: &'static str) -> Stored<Option<Timestamp>> {
    Ok(get::<Option<i64>>(row, field)?.map(Timestamp))
}

/// A number that is 0 or 1.
pub(super) fn flag(row: &Row, field: &'static str) -> Stored<bool> {
    Ok(get::<i64>(row, field)? != 0)
}

pub(super) fn parse<T: FromStr>(text: &str, field: &'static str) -> Stored<T> {
    text.parse().map_err(|_| StoreError::Corrupt(field))
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str, field: &'static str) -> Stored<T> {
    serde_json::from_str(text).map_err(|_| StoreError::Corrupt(field))
}

pub(super) fn to_json(value: &impl serde::Serialize, field: &'static str) -> Stored<String> {
    serde_json::to_string(value).map_err(|_| StoreError::Corrupt(field))
}
