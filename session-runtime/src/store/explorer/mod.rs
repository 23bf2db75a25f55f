//! A search through everything that can happen when a few actors use the ledger at once.
//!
//! A [scene](scene) has a store, one to four [actors](actor) and what may go wrong. The actors run
//! the real ledger, over stores that make use of whatever the contract leaves open. Each call of a
//! store waits until the [search](run) lets it happen: done; not done, and an error; done, and its
//! reply lost; an error now, and done at any later time; or done, and sent again by the driver. The
//! search goes through all orders and all of these ways, depth first, and [checks](check) after
//! each step what the ledger promises:
//!
//! - An acknowledged update is in the session, once.
//! - What was live when a removal or a revocation began is dead when that is acknowledged, and its
//!   successors are, too. Nobody else's session is touched, and no tombstone is written over.
//! - Of the cookies that were sent for a session, one is live at most, and it is not that which a
//!   login or a renewal replaced.
//! - A live session is on the list of its user, and is shown there.
//! - An expired session stays expired. A visitor whose id was just retired is never told that there
//!   is nothing.
//! - Where nothing fails, no actor gets an error, and no session is left that nobody has the cookie
//!   of.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

mod act;
mod actor;
mod cell;
mod check;
mod flaws;
mod manner;
mod play;
mod promises;
mod run;
mod scene;
mod stores;
mod trace;
mod wire;
mod world;

use tokio::runtime;

use self::act::{Act, Meant};
use self::run::Outcome;
use self::scene::Scene;

/// A revocation of all sessions of the first user.
const ALL: Act = Act::Revoke {
    users: 0b010,
    which: Meant::All,
};

/// A revocation of a user who has a key under each of two secrets.
const BOTH: Act = Act::Revoke {
    users: 0b110,
    which: Meant::All,
};

const fn all_but(session: u8) -> Act {
    Act::Revoke {
        users: 0b010,
        which: Meant::AllBut(session),
    }
}

const fn only(session: u8) -> Act {
    Act::Revoke {
        users: 0b010,
        which: Meant::One(session),
    }
}

const fn renew(from: u8, new: u8) -> Act {
    Act::Renew { from, new }
}

const fn login(from: u8, new: u8, user: u8) -> Act {
    Act::Login {
        from,
        new,
        user,
        fresh: new + 1,
    }
}

const fn move_to(user: u8) -> Act {
    Act::Move { from: 0, user }
}

/// Explores scenes. An answer of a store needs a runtime around it, though none of it is used.
fn explore(scenes: impl IntoIterator<Item = Scene>) -> Vec<(Scene, Outcome)> {
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    let _within = runtime.enter();
    let outcome_of = |scene: Scene| {
        let start = std::time::Instant::now();
        let outcome = run::explore(&scene);
        println!("{} in {:?}: {scene}", outcome.states, start.elapsed());
        (scene, outcome)
    };
    scenes.into_iter().map(outcome_of).collect()
}
