//! Bytes a session.

use super::row;
use crate::{memory::Stored, number::plain};

pub(crate) fn memory(measured: &[Stored], sessions: usize) -> String {
    let mut page = format!(
        "\n### Bytes a session ({} sessions of a name and a counter)\n\n\
         By how much the server's resident set and its files have grown, over the number of sessions; \
         a map that has just doubled is half empty.\n\n\
         | server | in memory | on disk |\n\
         |---|---:|---:|\n",
        plain(sessions as f64, 0),
    );
    for one in measured {
        let cells = [one.resident, one.on_disk].map(|bytes| plain(bytes, 0));
        page += &row(one.library, &cells);
    }
    page
}
