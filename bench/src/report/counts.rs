//! Instructions and allocations.

use std::collections::BTreeSet;

use super::{BARE, row};
use crate::{
    counts::{Counted, Counts},
    library::Route,
    number::{MISSING, above, plain},
};

type Figure = fn(&Counts) -> Option<u64>;

/// The columns of what was counted: how many places, and which figure.
const COUNTED: [(usize, Figure); 4] = [
    (0, |counts| {
        Some(counts.instructions.as_ref()?.without_sha256())
    }),
    (0, |counts| Some(counts.instructions.as_ref()?.sha256())),
    (1, |counts| Some(counts.allocations.calls)),
    (0, |counts| Some(counts.allocations.bytes)),
];

/// What repeats: instructions and allocations.
pub(crate) fn counts(counted: &[Counted], requests: u32) -> String {
    let mut page = format!(
        "\n### Counts per request ({requests} requests, one at a time)\n\n\
         The bare route in full, the others above it. Each route is a server of its own, under the same path.\n\n\
         | server | route | instructions without SHA-256 | SHA-256 | allocations | bytes allocated |\n\
         |---|---|---:|---:|---:|---:|\n"
    );
    for one in counted {
        for (index, (route, counts)) in Route::ALL.into_iter().zip(&one.routes).enumerate() {
            let bare = (index != BARE).then(|| &one.routes[BARE]);
            let mut cells = vec![route.name().to_owned()];
            cells.extend(COUNTED.map(|(places, of)| {
                let each = |counts| Some(of(counts)? as f64 / f64::from(requests));
                match (each(counts), bare) {
                    (Some(figure), None) => plain(figure, places),
                    (Some(figure), Some(bare)) => above(figure - each(bare).unwrap_or(0.0), places),
                    (None, _) => MISSING.to_owned(),
                }
            }));
            page += &row(one.library, &cells);
        }
    }
    page += "\nBytes are those asked of the allocator; growing a block counts its new size; \
             what C allocates, as SQLite does, is not seen. ";
    page + &about_instructions(counted)
}

fn about_instructions(counted: &[Counted]) -> String {
    let counts = counted.iter().flat_map(|one| &one.routes);
    let mut found = counts
        .filter_map(|counts| counts.instructions.as_ref())
        .peekable();
    if found.peek().is_none() {
        return "No instructions were counted: valgrind is missing (Debian: apt-get install valgrind), or \
                `--instructions 0` left it out.\n"
            .to_owned();
    }
    let functions: BTreeSet<&String> = found.flat_map(|found| &found.sha256_functions).collect();
    let functions: Vec<String> = functions.iter().map(|name| format!("`{name}`")).collect();
    let functions = if functions.is_empty() {
        "none was seen".to_owned()
    } else {
        functions.join(", ")
    };
    let mut about = format!(
        "Instructions are those in user space, by callgrind; SHA-256 stands apart because valgrind hides \
         the CPU's instructions for it, so that portable code runs ({functions}).\n"
    );
    for one in counted {
        let refused = one.routes.iter().flat_map(|route| &route.refused_calls);
        let refused: BTreeSet<&u32> = refused.collect();
        if !refused.is_empty() {
            about += &format!(
                "This valgrind does not know the system calls {refused:?} of {}: its instructions are \
                 those of the way around them.\n",
                one.library.name(),
            );
        }
    }
    about
}
