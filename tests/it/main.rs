//! The integration tests: one binary, one file a story. Most of them run once for each store.

#![allow(
    unreachable_pub,
    reason = "a binary has no public interface to keep small"
)]

mod support;

mod application;
mod base_path;
mod concurrency;
mod connections;
mod contract;
mod cookies;
mod cors;
mod csrf;
mod dictionary;
#[cfg(target_os = "linux")]
mod disk;
mod double_logins;
mod events;
mod evictions;
mod expiry;
mod flash;
mod gates;
mod guards;
mod http_2;
mod ids;
mod import;
mod interleavings;
mod limit;
#[cfg(unix)]
mod lists;
mod locks;
mod long_requests;
mod mistakes;
mod neighbours;
mod outage;
mod partitioned;
mod paths;
mod plain_http;
mod prefetch;
mod processes;
mod properties;
mod quiet;
mod realms;
mod redis;
mod refusals;
mod replay;
mod requests;
mod responses;
#[cfg(unix)]
mod restores;
mod saves;
mod secrets;
mod settings;
mod shared;
mod size;
#[cfg(target_os = "linux")]
mod slow_disk;
mod two_sessions;
mod users;
mod views;
mod visitors;
mod visits;
mod watches;
mod withheld;
mod words;
