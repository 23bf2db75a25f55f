//! A round of a visitor: all tabs at once, then a look at the session, and what both must be.

use std::time::Instant;

use crate::judge::Judge;
use crate::look::Look;
use crate::model::Model;
use crate::op::{Done, Op, Shown};
use crate::tabs::{Tab, Tokens};
use crate::visitor::Visitor;
use crate::world::World;

/// How often a look is tried that a killed server does not answer.
const TRIES: usize = 20;

/// What a round leaves.
pub(crate) struct Outcome {
    pub(crate) done: Vec<Done>,
    pub(crate) faults: Vec<String>,
    /// The visitor, if the session goes on.
    pub(crate) visitor: Option<Visitor>,
    /// The token that this round ended.
    pub(crate) dead: Option<String>,
}

pub(crate) fn run(
    mut visitor: Visitor,
    tabs: &mut [Tab],
    world: &World,
    plans: Vec<Vec<Op>>,
) -> Outcome {
    visitor.model.settle(Instant::now());
    let mut done = play(&visitor, tabs, world, plans);
    let mut after = After {
        tab: &mut tabs[0],
        world,
        looks: Vec::new(),
        faults: Vec::new(),
        dead: None,
    };
    let visitor = after.judge(visitor, &done);
    done.extend(after.looks);
    Outcome {
        done,
        faults: after.faults,
        visitor,
        dead: after.dead,
    }
}

fn play(visitor: &Visitor, tabs: &mut [Tab], world: &World, plans: Vec<Vec<Op>>) -> Vec<Done> {
    let tokens = Tokens {
        current: Some(&visitor.token),
        previous: visitor.previous.as_deref(),
    };
    let run = |tab: &mut Tab, plan: Vec<Op>| -> Vec<Done> {
        let ops = plan.into_iter();
        ops.map(|op| tab.run(world, op, tokens)).collect()
    };
    std::thread::scope(|scope| {
        let tabs = tabs.iter_mut().zip(plans);
        let running: Vec<_> = tabs
            .map(|(tab, plan)| scope.spawn(move || run(tab, plan)))
            .collect();
        let ended = running.into_iter().map(|tab| tab.join());
        ended
            .flat_map(|tab| tab.expect("a tab does not fail"))
            .collect()
    })
}

/// What comes after all tabs are done.
struct After<'r> {
    tab: &'r mut Tab,
    world: &'r World,
    looks: Vec<Done>,
    faults: Vec<String>,
    dead: Option<String>,
}

impl After<'_> {
    /// Judges the answers and looks at what they have left; gives the visitor as it goes on.
    fn judge(&mut self, visitor: Visitor, done: &[Done]) -> Option<Visitor> {
        let mut judge = Judge::new(&visitor.model, &visitor.token, done);
        judge.answers();
        let end = match judge.end() {
            Some(end) if end.succeeded() => end,
            // It may have been done or not, and nobody knows the new token.
            Some(_) => {
                self.faults.extend(judge.into_faults());
                return None;
            }
            None => {
                let look = self.look(&visitor.token);
                let model = look.map(|look| look.judge(&mut judge));
                self.faults.extend(judge.into_faults());
                return model.map(|model| Visitor {
                    model,
                    seen: Instant::now(),
                    ..visitor
                });
            }
        };
        let new_token = end.new_token().map(str::to_owned);
        let look = new_token.as_deref().and_then(|token| self.look(token));
        let model = look.map(|look| match &end.op {
            Op::Login { user, mark } if *mark != visitor.model.mark => {
                let model = Model::new(mark.clone(), Some(user.clone()));
                let mut of_nothing = Judge::new(&model, "", &[]);
                let model = look.judge(&mut of_nothing);
                self.faults.extend(of_nothing.into_faults());
                model
            }
            _ => look.judge(&mut judge),
        });
        self.faults.extend(judge.into_faults());
        for token in visitor.previous.iter().chain([&visitor.token]) {
            self.look_at_nothing(token);
        }
        self.dead = Some(visitor.token.clone());
        Some(Visitor {
            token: new_token?,
            previous: Some(visitor.token),
            model: model?,
            seen: Instant::now(),
        })
    }

    fn look(&mut self, token: &str) -> Option<Look> {
        for _ in 0..TRIES {
            let op = Op::Read(Shown::Token);
            let done = self.tab.run(self.world, op, Tokens::only(token));
            self.looks.push(done.clone());
            match Look::new(&done, token) {
                Ok(look) => return Some(look),
                Err(_) if done.answered.is_none() && done.excused => {}
                Err(fault) => {
                    self.faults.push(fault);
                    return None;
                }
            }
        }
        None
    }

    fn look_at_nothing(&mut self, token: &str) {
        if let Some(Look {
            set_cookie, seen, ..
        }) = self.look(token)
            && (set_cookie || !seen.is_empty())
        {
            self.faults.push(format!(
                "the dead token {token} sees {seen:?}, a cookie set: {set_cookie}"
            ));
        }
    }
}
