//! Bytes a session.

use super::row;
use crate::{
    memory::Stored,
    number::{MISSING, plain},
};

pub(crate) fn memory(measured: &[Stored], sessions: usize) -> String {
    let has_redis = measured.iter().any(|one| one.in_redis.is_some());
    let (grown, column, line) = if has_redis {
        (", its files and its Redis have", " in Redis |", "---:|")
    } else {
        (" and its files have", "", "")
    };
    let mut page = format!(
        "\n### Bytes a session ({} sessions of a name and a counter)\n\n\
         By how much the server's resident set{grown} grown, over the number of sessions; \
         a map that has just doubled is half empty.\n\n\
         | server | in memory | on disk |{column}\n\
         |---|---:|---:|{line}\n",
        plain(sessions as f64, 0),
    );
    for one in measured {
        let mut cells = [one.resident, one.on_disk]
            .map(|bytes| plain(bytes, 0))
            .to_vec();
        if has_redis {
            let bytes = one.in_redis.map(|bytes| plain(bytes, 0));
            cells.push(bytes.unwrap_or(MISSING.to_owned()));
        }
        page += &row(one.library, &cells);
    }
    page
}
