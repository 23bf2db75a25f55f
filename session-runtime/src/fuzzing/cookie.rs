//! Fuzzes the `Cookie` headers: our cookies are found among any other bytes, and nothing else is found.

use once_cell::sync::Lazy;

use super::inputs::{BOTH, SECRETS, written};
use crate::cookie::values;
use crate::mode::Mode;
use crate::service::Sessions;
use crate::token::decode;

const NAME: &str = "bsession";
/// A token that the current secret signed, for an id that nothing else uses.
pub(super) const GOOD: &[u8] = b"uAABAgMEBQYHCAkKCwwNDg8QERITFBUWF52q5O7bAAMFp1-yEmq1rPfnFwoS9Aqq";
/// The number of cookies with our name that are looked at.
const MOST: usize = 2_000;

static SESSIONS: Lazy<Sessions> = Lazy::new(|| {
    let builder = Sessions::builder(SECRETS[0]).previous_secret(SECRETS[1]);
    let builder = builder.mode(Mode::Memory).cookie_name(NAME);
    builder.build().expect("a service")
});

/// Takes each line of `input` as a `Cookie` header.
pub fn cookie(input: &[u8]) {
    let headers: Vec<&[u8]> = input.split(|&byte| byte == b'\n').collect();
    let expected = by_hand(&headers);
    let found: Vec<&[u8]> = values(headers.iter().copied(), NAME.as_bytes()).collect();
    assert_eq!(found, expected[..expected.len().min(MOST)]);

    let presented = SESSIONS.0.cookies.presented(headers.iter().copied());
    assert_eq!(presented.any, !found.is_empty());
    for (number, token) in presented.tokens.iter().enumerate() {
        assert!(
            found.contains(&written(token).as_bytes()),
            "it was not shown"
        );
        let others = &presented.tokens[..number];
        assert!(others.iter().all(|other| other.id != token.id), "twice");
    }

    // The good one beside all these bytes, in the same header and in another one.
    let good = [NAME.as_bytes(), b"=", GOOD].concat();
    assert!(is_good_one_found(&[&good, input]));
    assert!(is_good_one_found(&[&[&good, &b"; "[..], input].concat()]));
    if expected.len() < MOST {
        assert!(is_good_one_found(&[input, &good]));
        assert!(is_good_one_found(&[&[input, b"; ", &good].concat()]));
    }
}

fn is_good_one_found(headers: &[&[u8]]) -> bool {
    let lines = headers
        .iter()
        .flat_map(|header| header.split(|&byte| byte == b'\n'));
    let presented = SESSIONS.0.cookies.presented(lines);
    let good = decode(&BOTH, GOOD).expect("the good one");
    presented.tokens.contains(&good)
}

/// The values of all cookies with our name, found byte by byte.
fn by_hand(headers: &[&[u8]]) -> Vec<Vec<u8>> {
    const SPACE: &[u8] = b" \t\n\x0C\r";
    let mut values = Vec::new();
    for header in headers {
        let mut place = 0;
        while place < header.len() {
            while place < header.len() && SPACE.contains(&header[place]) {
                place += 1;
            }
            let (mut name, mut value) = (Vec::new(), None::<Vec<u8>>);
            while place < header.len() && header[place] != b';' {
                match (&mut value, header[place]) {
                    (None, b'=') => value = Some(Vec::new()),
                    (None, byte) => name.push(byte),
                    (Some(value), byte) => value.push(byte),
                }
                place += 1;
            }
            place += 1;
            if let Some(mut value) = value.filter(|_| name == NAME.as_bytes()) {
                while value.last().is_some_and(|last| SPACE.contains(last)) {
                    value.pop();
                }
                values.push(value);
            }
        }
    }
    values
}
