//! Paging by cursor.

use hostplane_engine::store::Listed;

use super::extract::Params;
use super::problem::{ApiResult, Problem};
use super::wire::{Page, UnreadableRow};

/// Items of a page by default.
const DEFAULT: u32 = 50;
/// Most items of a page.
pub(crate) const MOST: u32 = 100;

/// Size of the requested page.
pub(super) fn limit(params: &Params) -> ApiResult<u32> {
    let expected = format!("a number from 1 to {MOST}");
    match params.parsed("limit", &expected)? {
        None => Ok(DEFAULT),
        Some(limit @ 1..=MOST) => Ok(limit),
        Some(_) => Err(Problem::parameter("limit", format!("limit is {expected}"))),
    }
}

/// Makes a page of `limit` items out of up to one more.
pub(super) fn page<V, T: From<V>>(found: Listed<V>, limit: u32, cursor: impl Fn(&V) -> String) -> Page<T> {
    let Listed { mut rows, unreadable } = found;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| more).map(cursor);
    let unreadable = unreadable.into_iter().map(UnreadableRow::from).collect();
    Page { items: rows.into_iter().map(T::from).collect(), next_cursor, unreadable }
}
