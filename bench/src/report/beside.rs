//! The bare route beside writers.

use super::{over_rounds, row};
use crate::{
    beside::{self, Beside},
    compare::Options,
    number::plain,
};

pub(crate) fn beside(measured: &[Beside], options: &Options) -> String {
    let mut page = format!(
        "\n### A bare route while another route writes (median of {} rounds, lowest to highest)\n\n\
         {} visitors of the bare route, {} requests a round, beside none and beside {} writers of sessions of \
         their own on the same worker, at the same pace for every server.\n\n\
         | server | p99 µs beside none | p99 µs beside writers | writes per second |\n\
         |---|---:|---:|---:|\n",
        options.rounds,
        beside::VISITORS,
        beside::requests(options),
        beside::WRITERS,
    );
    for one in measured {
        let figures = [&one.alone, &one.beside, &one.writes_per_second];
        let figures =
            figures.map(|figures| over_rounds(figures.iter().copied(), |figure| plain(figure, 0)));
        page += &row(one.library, &figures);
    }
    page
}
