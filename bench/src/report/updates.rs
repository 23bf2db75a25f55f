//! Updates kept.

use super::row;
use crate::{
    library::Route,
    updates::{self, Kept},
};

pub(crate) fn updates(measured: &[Kept], updates: usize) -> String {
    let mut page = format!(
        "\n### Of {updates} increments of one session at once\n\n\
         Each reads, sleeps {} ms and writes.\n\n\
         | server | written with | kept | lost |\n\
         |---|---|---:|---:|\n",
        updates::SLEEP.as_millis(),
    );
    for one in measured {
        let written = match one.route {
            Route::Update => "`update`",
            _ => "`insert`",
        };
        let lost = updates as u64 - one.updates;
        page += &row(
            one.library,
            &[
                written.to_owned(),
                one.updates.to_string(),
                lost.to_string(),
            ],
        );
    }
    page
}
