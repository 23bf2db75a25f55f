//! Ids: from the operating system, never shared, never adopted, never shown.

use std::collections::HashSet;
use std::path::Path;

use bsession::testing::Fault;
use bsession::{Mode, Sessions};

use crate::support::{Faults, Kind, SECRET, Setup, Site, for_each_store};

fn tokens(count: usize) -> Vec<String> {
    let sessions = Sessions::builder(SECRET)
        .mode(Mode::Memory)
        .build()
        .expect("a service");
    actix_web::rt::System::new().block_on(async {
        let mut tokens = Vec::with_capacity(count);
        for _ in 0..count {
            let cookie = sessions
                .cookie_for(|session| session["a"] = 1.into())
                .await
                .expect("a session");
            tokens.push(cookie.value().to_owned());
        }
        tokens
    })
}

/// Run by [`a_hundred_thousand_ids_of_four_processes_are_different_and_unbiased`] in processes of
/// its own; by itself it does little.
#[test]
fn ids_of_one_process() {
    let count = std::env::var("BSESSION_TEST_IDS")
        .ok()
        .and_then(|count| count.parse().ok());
    for token in tokens(count.unwrap_or(1)) {
        println!("token {token}");
    }
}

#[test]
fn a_hundred_thousand_ids_of_four_processes_are_different_and_unbiased() {
    let this = std::env::current_exe().expect("this program");
    let processes: Vec<_> = (0..4)
        .map(|_| {
            std::process::Command::new(&this)
                .args(["ids::ids_of_one_process", "--exact", "--nocapture"])
                .env("BSESSION_TEST_IDS", "25000")
                .stdout(std::process::Stdio::piped())
                .spawn()
                .expect("a process")
        })
        .collect();
    let mut all = Vec::new();
    for process in processes {
        let output = process.wait_with_output().expect("its output");
        let text = String::from_utf8(output.stdout).expect("text");
        all.extend(
            text.lines()
                .filter_map(|line| line.strip_prefix("token "))
                .map(str::to_owned),
        );
    }
    assert_eq!(all.len(), 100_000);
    assert_eq!(
        all.iter().collect::<HashSet<_>>().len(),
        100_000,
        "no id twice"
    );
    // Characters 2 to 32 are bits of the id alone: 31 characters, 186 bits.
    let mut ones = [0_u32; 186];
    for token in &all {
        for (place, character) in token.bytes().skip(2).take(31).enumerate() {
            let value = sextet(character);
            for bit in 0..6 {
                ones[place * 6 + bit] += value >> bit & 1;
            }
        }
    }
    // Six standard deviations of 100,000 coins are 949: one such run in two million fails.
    for (bit, &ones) in ones.iter().enumerate() {
        assert!(ones.abs_diff(50_000) < 949, "bit {bit} is one {ones} times");
    }
}

#[test]
fn an_id_that_is_taken_is_not_shared() {
    let (mode, faults) = Faults::mode();
    let site = Site::open(
        Sessions::builder(SECRET)
            .mode(mode)
            .secure(bsession::Secure::Never)
            .build()
            .expect("a service"),
    );
    let mut taken = 2;
    faults.say(move |operation| {
        if operation != "create" || taken == 0 {
            return Fault::None;
        }
        taken -= 1;
        Fault::Refuses
    });
    let visitor = site.visitor();
    assert_eq!(
        visitor.post("/set/a/b").status,
        200,
        "tried again with another id"
    );
    assert_eq!(visitor.get("/get/a").body, "\"b\"");
    faults.always(Fault::Refuses);
    let reply = site.visitor().post("/set/a/b");
    assert_eq!((reply.status, reply.set_cookies()), (503, vec![]));
}

/// Neither in a name nor within, be it as bytes, as text or as digits: who steals the directory has
/// no cookie, and reads nothing.
#[test]
fn neither_ids_nor_values_nor_users_nor_secrets_are_on_the_disk() {
    let setup = Setup::new(Kind::File);
    let site = setup.site();
    let visitor = site.visitor();
    let mut tokens = Vec::new();
    for path in [
        "/set/whispered/whisper",
        "/login/josephine",
        "/note/browser-of-hers",
        "/renew",
    ] {
        assert_eq!(visitor.post(path).status, 200);
        tokens.push(visitor.token().expect("a cookie"));
    }
    assert_eq!(visitor.session()["user"], "josephine");
    let listed = actix_web::rt::System::new().block_on(site.sessions.of_user("josephine"));
    let note = listed.expect("the list")[0].note.clone();
    assert_eq!(note.as_deref(), Some("browser-of-hers"), "a list reads it");
    let mut secrets: Vec<Vec<u8>> = ["whisper", "josephine", "browser-of-hers", SECRET]
        .map(Vec::from)
        .into();
    for token in &tokens {
        let bytes = decoded(token);
        assert_eq!(bytes.len(), 48);
        // The key id is no secret; then 24 bytes of id and 23 of MAC. A good part is as bad as all.
        secrets.extend([&bytes[1..17], &bytes[9..25], &bytes[25..41]].map(Vec::from));
        secrets.extend([&token[2..22], &token[12..32], &token[40..60]].map(Vec::from));
    }
    let found = everything_in(&setup.dir.path().join("sessions"));
    assert!(found.len() > 3 * 2048, "three files and their names");
    let holds = |bytes: &[u8]| found.windows(bytes.len()).any(|part| part == bytes);
    for secret in secrets {
        let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!holds(&secret) && !holds(digits.as_bytes()), "{digits}");
    }
}

/// The names and the contents of all files below a directory.
fn everything_in(directory: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        all.extend(path.file_name().expect("a name").as_encoded_bytes());
        all.extend(match path.is_dir() {
            true => everything_in(&path),
            false => std::fs::read(&path).expect("a file"),
        });
    }
    all
}

/// The bytes of a token, which is base64 without padding.
fn decoded(token: &str) -> Vec<u8> {
    let sextets: Vec<_> = token.bytes().map(sextet).collect();
    let bytes = sextets.chunks(4).flat_map(|chunk| {
        let group = chunk.iter().fold(0, |group, &sextet| group << 6 | sextet);
        group.to_be_bytes().into_iter().skip(1)
    });
    bytes.collect()
}

fn sextet(character: u8) -> u32 {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = ALPHABET.iter().position(|&other| other == character);
    u32::try_from(place.expect("base64url")).expect("small")
}

for_each_store! {
    fn an_unknown_id_is_never_adopted(setup) {
        let other = setup.another();
        let (site, elsewhere) = (setup.site(), other.site());
        let foreign = elsewhere.with_cookies("POST", "/set/name/joe", &[]).token().expect("a cookie").to_owned();
        let reply = site.with_token("POST", "/set/name/eve", &foreign);
        assert!(reply.token().is_some_and(|token| token != foreign));
        assert_eq!(site.with_token("GET", "/get/name", &foreign).body, "null");
    }

    fn neither_ids_nor_values_are_shown(setup) {
        let site = setup.site();
        let token = site.with_cookies("POST", "/set/name/whisper", &[]).token().expect("a cookie").to_owned();
        let sessions = &site.sessions;
        let shown = format!("{sessions:?} {:?} {:?}", sessions.stats(), setup.builder());
        for secret in [&token[..], &token[2..32], "whisper", SECRET] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
