//! Your own store: sessions in the embedded database [redb](https://docs.rs/redb).
//!
//! ```text
//! cargo run --example own_store
//! curl -c jar -b jar http://127.0.0.1:8080/        # visit 1, visit 2, … also after a restart
//! curl -c jar -b jar -X POST -H "Origin: http://127.0.0.1:8080" http://127.0.0.1:8080/logout   # as a browser says it
//! curl -c jar -b jar http://127.0.0.1:8080/        # visit 1 again
//! ```
//!
//! The store is in `store.rs`. The test suite of the feature `testing` checks that it keeps the contract of
//! [`bsession::store::Store`]:
//!
//! ```text
//! cargo test --example own_store
//! ```

mod store;

use actix_web::{App, HttpServer, Responder, get, post};
use bsession::{Secret, session};

use store::RedbStore;

#[get("/")]
#[session]
async fn index() -> bsession::Result<impl Responder> {
    let visits = session.update("visits", |n: u64| n + 1)?;
    Ok(format!("visit {visits}\n"))
}

#[post("/logout")]
#[session(csrf, purge)]
async fn logout() -> impl Responder {
    "see you\n"
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    env_logger::init_from_env(env_logger::Env::new().default_filter_or("info"));
    let store = RedbStore::open("sessions.redb")?;
    bsession::init(Secret::load_or_create("session.secret")?, store)?;
    HttpServer::new(|| App::new().service(index).service(logout))
        .bind(("127.0.0.1", 8080))?
        .run()
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bsession::store::{Body, Entry, Expected, Head, Key, Record, Revision, Store, Swap};
    use bsession::{Handle, Timestamp, testing};

    use super::*;

    #[actix_web::test]
    async fn the_store_keeps_the_contract() {
        let directory = tempfile::tempdir().unwrap();
        let mut number = 0;
        testing::contract(|| {
            number += 1;
            RedbStore::open(directory.path().join(number.to_string())).unwrap()
        })
        .await;
    }

    #[actix_web::test]
    async fn what_was_acknowledged_is_there_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sessions.redb");
        let (key, now) = (Key([1; 16]), Timestamp::from_millis(1_750_000_000_000));
        let record = Record {
            head: Head {
                revision: Revision::first(),
                expires: now + Duration::from_secs(60),
                seen: now,
                created: now,
                handle: Handle([2; 12]),
                user: None,
            },
            summary: None,
            body: Body::from_bytes(*b"body"),
        };
        let store = RedbStore::open(&path).unwrap();
        let entry = Some(Entry::Live(record));
        let swap = store.swap(key, Expected::Nothing, entry, now).await;
        assert!(matches!(swap, Ok(Swap::Done)));
        drop(store);
        let store = RedbStore::open(&path).unwrap();
        let loaded = store.load(key).await.unwrap();
        assert!(matches!(loaded, Some(Entry::Live(record)) if record.body.as_bytes() == b"body"));
    }
}
