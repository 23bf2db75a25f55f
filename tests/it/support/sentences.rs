//! What a refused client reads.

pub const LOG_IN: &str = "Please log in first.";
pub const LOG_IN_AGAIN: &str = "Please log in again: your last login is too long ago.";
pub const NO_RIGHT: &str = "You do not have the right to do this.";
pub const NOT_FROM_THERE: &str =
    "This request was refused, because a page of another site may have sent it.";
pub const TOO_MANY: &str = "You are logged in too many times: please log out somewhere else first.";
pub const FAULTY: &str = "The server could not answer this request because of a fault in it.";
pub const UNAVAILABLE: &str =
    "The service is not available just now: please try again in a moment.";
