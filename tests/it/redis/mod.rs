//! What Redis, and the way to it, may do to a service: 503 and nothing lost, never "no session".

mod at_rest;
mod causes;
mod cluster;
mod network;
mod outage;
mod reach;
mod replicas;
mod sentinel;
mod site;
mod tls;
mod traffic;
