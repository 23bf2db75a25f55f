// No name of ours meets one of theirs, and none of theirs changes what we mean.

use actix_web::Responder;
use actix_web::web::{self, Path, Query};
use bsession::session;

#[allow(non_camel_case_types)]
struct core;

#[allow(dead_code)]
enum Option {
    Some,
    None,
}
use self::Option::{None, Some};

mod bsession_names {
    pub struct Session;
    pub struct Saved;
    pub struct Call;
}
use bsession_names::{Call, Saved, Session};

fn __call() -> u32 {
    1
}

const __R: u32 = 1;

#[session]
async fn hidden(__response: Path<u32>, __r: Query<u32>) -> impl Responder {
    session
        .insert("sum", *__response + *__r + __call() + __R)
        .unwrap();
    let (__call, _) = (Some, None);
    let _ = (Session, Saved, Call, core);
    match __call {
        Some => "some",
        None => "none",
    }
}

// Without an extractor to ride with.
#[session]
async fn alone() -> String {
    let __call = __call();
    session.insert("call", __call).unwrap();
    __call.to_string()
}

// Labels, and a handler of the attribute's own name, which has another name for its session.
#[session]
async fn session(visitor: &mut bsession::Session) -> &'static str {
    let bytes = 'bytes: {
        if visitor.get::<u32>("number").is_ok() {
            break 'bytes "number";
        }
        "no number"
    };
    bytes
}

fn main() {
    drop((
        web::get().to(hidden),
        web::get().to(alone),
        web::get().to(self::session),
    ));
}
