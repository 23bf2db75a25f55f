//! The Redis store: one value for each session, and a Lua script for each change that must be one step.
//!
//! | file | contents |
//! |---|---|
//! | `settings` | the public settings, [`RedisStore`] |
//! | `open_redis` | the store that a service uses: it implements `Store` |
//! | `backend` | sends commands and scripts to the server that has the key |
//! | `records` | the operations on records, and how many commands each of them takes |
//! | `lists`, `scan`, `healing` | the list of each user, a walk through all records, and the repair of lists |
//! | `lock` | the lock of a session |
//! | `layout`, `key_names` | the bytes under a key, and the names of the keys |
//! | `scripts` | the Lua scripts |
//! | `address`, `servers`, `sentinels` | the address as text, the servers that it names, and the sentinels that name a server |
//! | `route`, `cluster`, `slots` | the way to the server that has a key |
//! | `node`, `link`, `connection` | the connections of one runtime to one server |
//! | `attempt` | one attempt whose result many requests share |
//! | `failure` | the errors |
//!
//! # Keys
//!
//! | key, after the prefix | value |
//! |---|---|
//! | `{KEY}` | a record, or the tombstone that it left; `KEY` is in base64url |
//! | `{KEY}:lock` | the lock of that session, while somebody has it |
//! | `user:USER` | the sessions of a user: a sorted set of keys, with the time until which each one is listed |
//! | `whole` | the mark that all lists are whole; see `healing` |
//!
//! All of them but the mark expire in the server. The braces put the record and the lock of a session into the
//! same hash slot of a cluster.
//!
//! # Cost
//!
//! Each command is one round trip:
//!
//! | operation | one server | cluster |
//! |---|---|---|
//! | load | `GET` | the same |
//! | create, commit, touch | a script | the same |
//! | the same, if the list of the user changes | a script | two, or three if nobody knew that the list changes |
//! | renew | a script | three; two without a user |
//! | remove | a script; for the session of a user also `ZREM`, which nobody waits for | the same |
//! | list | `GET` of the mark, `ZRANGE`, and a `GETRANGE` for each session, 128 at once | the same |
//! | lock | a script; another one gives it back, and nobody waits for that | the same |
//!
//! # The list of a user
//!
//! In a cluster the list is in another hash slot than the records, so one step cannot write both. A session is
//! put on the list before its record names the user. Readers look up each listed key and show only the sessions
//! whose records name the user. A session is listed for twice its remaining lifetime. This costs one score,
//! and no visit has to move it until half of that time has passed.

mod address;
mod attempt;
mod backend;
mod cluster;
mod connection;
mod failure;
mod healing;
mod key_names;
mod layout;
mod link;
mod lists;
mod lock;
mod node;
mod open_redis;
mod records;
mod route;
mod scan;
mod scripts;
mod sentinels;
mod servers;
mod settings;
mod slots;
#[cfg(test)]
mod tests;

pub use self::settings::RedisStore;
