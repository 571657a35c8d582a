//! Statements: made here alone, so that a test can ask for the plan of each.

use std::borrow::Cow;
use std::fmt::Write;

use sqlx::query::{Query, QueryAs, QueryScalar};
use sqlx::{AssertSqlSafe, FromRow};

use super::dialect::{Arguments, Database, Row};

/// A statement whose rows, if any, are read by name. Its text never contains a value from outside.
#[cfg_attr(test, track_caller)]
pub(super) fn query<'q>(text: impl Into<Cow<'static, str>>) -> Query<'q, Database, Arguments> {
    sqlx::query(made(text.into()))
}

/// A statement whose answer is one column.
#[cfg_attr(test, track_caller)]
pub(super) fn scalar<'q, T>(text: impl Into<Cow<'static, str>>) -> QueryScalar<'q, Database, T, Arguments>
where
    (T,): for<'r> FromRow<'r, Row>,
{
    sqlx::query_scalar(made(text.into()))
}

/// A statement whose answer is rows of a few columns.
#[cfg_attr(test, track_caller)]
pub(super) fn tuple<'q, T>(text: impl Into<Cow<'static, str>>) -> QueryAs<'q, Database, T, Arguments>
where
    T: for<'r> FromRow<'r, Row>,
{
    sqlx::query_as(made(text.into()))
}

#[cfg_attr(test, track_caller)]
fn made(text: Cow<'static, str>) -> AssertSqlSafe<Cow<'static, str>> {
    #[cfg(test)]
    super::tests::recorder::record(&text);
    AssertSqlSafe(text)
}

/// The conditions of a statement, those that are set alone: `($1 = '' OR …)` would keep every index from being used.
#[derive(Default)]
pub(super) struct Conditions {
    text: String,
    values: Vec<String>,
}

impl Conditions {
    /// Adds a condition without a value.
    pub fn and(mut self, condition: &str) -> Self {
        let word = if self.text.is_empty() { "WHERE" } else { " AND" };
        // A string takes all that is written to it.
        let _ = write!(self.text, "{word} {condition}");
        self
    }

    /// Adds a condition that ends in its value, such as `id =`.
    pub fn and_value(mut self, condition: &str, value: impl Into<String>) -> Self {
        self.values.push(value.into());
        let parameter = self.values.len();
        self.and(&format!("{condition} ${parameter}"))
    }

    /// The same with a pair of values.
    pub fn and_pair(mut self, condition: &str, values: [String; 2]) -> Self {
        self.values.extend(values);
        let second = self.values.len();
        self.and(&format!("{condition} (${}, ${second})", second - 1))
    }

    /// The statement's `WHERE`, empty without a condition.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first parameter after those of the conditions.
    pub fn next_parameter(&self) -> String {
        format!("${}", self.values.len() + 1)
    }

    /// Binds the values to the statement.
    pub fn bind<'q>(&self, query: Query<'q, Database, Arguments>) -> Query<'q, Database, Arguments> {
        self.values.iter().fold(query, |query, value| query.bind(value.clone()))
    }
}
