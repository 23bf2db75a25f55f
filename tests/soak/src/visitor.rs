//! A visitor: a browser with several tabs, of which all show the same cookie.

use std::time::{Duration, Instant};

use crate::app;
use crate::model::{Model, Pile};
use crate::op::{Done, Op};
use crate::tabs::{Tab, Tokens};
use crate::world::World;

/// How long ago a visit may be for the session to be there for sure.
const SURE: Duration = Duration::from_secs(app::IDLE.as_secs() / 2);

pub(crate) struct Visitor {
    pub(crate) token: String,
    /// The token before, of the same session, dead.
    pub(crate) previous: Option<String>,
    pub(crate) model: Model,
    pub(crate) seen: Instant,
}

impl Visitor {
    /// A first visit. Nothing comes of one that is not answered.
    pub(crate) fn begin(tab: &mut Tab, world: &World, mark: String) -> (Done, Option<Self>) {
        let done = tab.run(world, Op::Begin { mark: mark.clone() }, Tokens::NONE);
        let visitor = done.new_token().map(|token| Self {
            token: token.to_owned(),
            previous: None,
            model: Model::new(mark, None),
            seen: Instant::now(),
        });
        (done, visitor)
    }

    /// Whether the session may have expired.
    pub(crate) fn may_be_expired(&self) -> bool {
        self.seen.elapsed() > SURE
    }

    /// How many files the session takes: its own, and an entry in the list of its user.
    pub(crate) fn files(&self) -> u64 {
        1 + u64::from(self.model.user.is_some())
    }

    /// Puts a value there that only one may claim. A save that is not answered may come later than
    /// the next look at the session: then the visitor cannot be judged any more.
    pub(crate) fn plant(&mut self, tab: &mut Tab, world: &World, value: u64) -> Done {
        let tokens = Tokens::only(&self.token);
        let done = tab.run(world, Op::Plant(value), tokens);
        self.model.piles[0] = Pile {
            there: vec![value],
            ..Pile::default()
        };
        done
    }
}
