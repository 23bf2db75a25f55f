//! A search through everything that can happen when a few actors use the ledger at once.
//!
//! A [scene](scene) has a store, one to four [actors](actor), and the faults that may happen. The actors run
//! the real ledger, over stores that do whatever the contract leaves open. Each call of a store waits until the
//! [search](search) decides its fate:
//!
//! - It is done and answered.
//! - It is not done, and the actor gets an error.
//! - It is done, but its reply is lost.
//! - The actor gets an error, and the call is done at any later time.
//! - It is done, and the driver sends it again.
//!
//! The search goes through all orders of the calls and all of these fates, depth first. After each step it
//! [checks](check) the promises of the ledger:
//!
//! - An acknowledged update is in the session, once.
//! - When a removal or a revocation is acknowledged, the sessions that were live when it began are dead, and so are
//!   their successors. No other user's session is touched, and no tombstone is written over.
//! - Among the cookies that were sent for a session, at most one is live, and no login or renewal has replaced it.
//! - A live session is on the list of its user, and is shown there.
//! - An expired session stays expired. A visitor whose id was just retired is never told that there is nothing.
//! - If nothing fails, no actor gets an error, and no session is left without somebody who has its cookie.

#![allow(clippy::unwrap_used, reason = "a test that panics says where")]

mod act;
mod actor;
mod cell;
mod check;
mod flaws;
mod manner;
mod play;
mod promises;
mod scene;
mod search;
mod stores;
mod trace;
mod wire;
mod world;
