//! What a library adds to a build.

use super::{over_rounds, table_row};
use crate::{
    builds::Built,
    number::{above, plain},
};

pub(crate) fn builds(measured: &[Built]) -> String {
    let rounds = measured.first().map_or(0, |built| built.seconds.len());
    let mut page = format!(
        "\n### Crates and seconds of a clean release build (median of {rounds} rounds, lowest to highest)\n\n\
         A program that has the framework alone in full, those that have sessions too above it.\n\n\
         | program | crates | seconds |\n\
         |---|---:|---:|\n"
    );
    let mut framework = None;
    for one in measured {
        let figures = if one.program.is_framework() {
            framework = Some(one);
            [
                plain(one.crates as f64, 0),
                over_rounds(one.seconds.iter().copied(), |seconds| plain(seconds, 1)),
            ]
        } else {
            let (crates, seconds) = framework.map_or((0, &[][..]), |framework| {
                (framework.crates, &framework.seconds[..])
            });
            let added = one.seconds.iter().zip(seconds);
            [
                above(one.crates as f64 - crates as f64, 0),
                over_rounds(added.map(|(with, without)| with - without), |seconds| {
                    above(seconds, 1)
                }),
            ]
        };
        page += &table_row(one.program.name, &figures);
    }
    page
}
