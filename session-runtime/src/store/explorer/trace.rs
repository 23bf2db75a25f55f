//! The steps of a search, for the trace.

use super::play::Plays;
use super::scene::Scene;
use super::world::Message;

/// The fate of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallFate {
    /// It is done and answered.
    Done,
    /// It is not done, and the caller gets an error.
    Fails,
    /// It is done, and the caller gets an error.
    ReplyLost,
    /// The caller gets an error, and it is done at any later time.
    DoneLater,
    /// It is done, and the driver, which got no answer, sends it again.
    SentAgain,
}

/// A step of the search.
#[derive(Clone, Copy, Debug)]
pub(super) enum SearchStep {
    Call {
        play: u32,
        call: u8,
        fate: CallFate,
        next: u32,
    },
    Arrives(Message),
    Time(u8),
    ListsLost,
    Full,
}

impl SearchStep {
    /// Describes the step in words.
    pub(super) fn tell(self, scene: &Scene, plays: &Plays<'_>) -> String {
        let call_of = |play: u32, call: u8| {
            let play = plays.get(play);
            let (_, call) = play.calls.iter().find(|it| it.0 == call).unwrap();
            let act = scene.acts[usize::from(play.actor)];
            (act, *call)
        };
        match self {
            Self::Call {
                play,
                call,
                fate,
                next,
            } => {
                let (act, call) = call_of(play, call);
                let next = plays.get(next);
                let reply = next.answers.last().filter(|_| fate != CallFate::SentAgain);
                format!(
                    "{act:?}: {call:?} -> {fate:?} {reply:?} {:?} {:?}",
                    next.events, next.end
                )
            }
            Self::Arrives(Message::Call { play, call, .. }) => {
                format!("arrives: {:?}", call_of(play, call))
            }
            Self::Arrives(message) => format!("arrives: {message:?}"),
            Self::Time(time) => format!("the time is {}", scene.second(time)),
            Self::ListsLost | Self::Full => format!("{self:?}"),
        }
    }
}
