// What is no function stays as it is: `Plain` can still be used.

use bsession::session;

#[session]
struct Plain;

#[session]
pub(crate) enum Choice {
    One,
}

#[session]
impl Plain {
    #[session]
    const NUMBER: u32 = 1;
}

#[session]
trait Shape {}

#[session]
unsafe trait Careful {}

#[session]
mod module {}

#[session]
const CONSTANT: u32 = 1;

#[session]
static STATIC: u32 = 1;

#[session]
use std::fmt;

#[session]
unsafe extern "C" {}

#[session]
macro_rules! made {
    () => {};
}

trait Declared {
    #[session]
    async fn handler() -> &'static str;
}

impl Shape for Plain {}
unsafe impl Careful for Plain {}

fn main() {
    made!();
    let _ = (Plain, Plain::NUMBER, Choice::One, CONSTANT, STATIC);
    let _: fmt::Result = Ok(());
}
