//! The hash slots of a cluster: the slot of a key, and the node that has it.

use redis::{Cmd, RedisError, Value};

/// The address of a node: its host and its port.
pub(super) type NodeAddress = (String, u16);

/// The first and the last slot of a range, and the address of their master.
pub(super) type SlotRange = (u16, u16, NodeAddress);

const SLOTS: u16 = 16_384;

/// Returns the slot of the key of a command.
pub(super) fn slot_of(cmd: &Cmd) -> u16 {
    let mut args = cmd.args_iter().map(|arg| match arg {
        redis::Arg::Simple(bytes) => bytes,
        _ => b"",
    });
    let is_script = args.next().is_some_and(|name| name.starts_with(b"EVAL"));
    let key = args.nth(if is_script { 2 } else { 0 });
    slot(key.unwrap_or_default())
}

fn slot(key: &[u8]) -> u16 {
    crc16(hashed(key)) % SLOTS
}

/// Returns the part of a key that is hashed: the text between the first braces if there is any, else the whole key.
fn hashed(key: &[u8]) -> &[u8] {
    let find = |wanted: u8, bytes: &[u8]| bytes.iter().position(|&byte| byte == wanted);
    let inner = find(b'{', key).map(|open| &key[open + 1..]);
    let inner = inner.and_then(|inner| find(b'}', inner).map(|close| &inner[..close]));
    inner.filter(|inner| !inner.is_empty()).unwrap_or(key)
}

/// Computes CRC-16/XMODEM, which the cluster specification names.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            (crc << 1) ^ (0x1021 * (crc >> 15))
        })
    })
}

/// Reads the reply to `CLUSTER SLOTS`. A node that does not know its own host has the host at which it was asked.
pub(super) fn read(reply: Value, asked: &str) -> Option<Vec<SlotRange>> {
    let Value::Array(ranges) = reply else {
        return None;
    };
    let range = |range| {
        let Value::Array(range) = range else {
            return None;
        };
        let [
            Value::Int(first),
            Value::Int(last),
            Value::Array(master),
            ..,
        ] = &*range
        else {
            return None;
        };
        let [host, Value::Int(port), ..] = &**master else {
            return None;
        };
        let host = match host {
            Value::BulkString(host) => str::from_utf8(host).ok()?,
            _ => "",
        };
        let address = (host_or(host, asked), u16::try_from(*port).ok()?);
        Some((
            u16::try_from(*first).ok()?,
            u16::try_from(*last).ok()?,
            address,
        ))
    };
    ranges.into_iter().map(range).collect()
}

/// Returns the address to which a node redirects, if the error is a redirection. The node was asked at this host.
pub(super) fn redirection(error: &RedisError, asked: &str) -> Option<NodeAddress> {
    let (host, port) = error.redirect_node()?.0.rsplit_once(':')?;
    Some((host_or(host, asked), port.parse().ok()?))
}

fn host_or(host: &str, asked: &str) -> String {
    let is_known = !matches!(host, "" | "?");
    if is_known { host } else { asked }.to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics says where")]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_what_the_specification_says() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, expected) in [
            ("foo", 12_182),
            ("{foo}:lock", 12_182),
            ("bar", 5061),
            ("b{}foo", slot(b"b{}foo")),
        ] {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
        assert_eq!(hashed(b"a{b}{c}"), b"b");
        assert_eq!(hashed(b"a{{b}}"), b"{b");
        assert_eq!(hashed(b"a{}{c}"), b"a{}{c}");
        assert_eq!(hashed(b"a}b{c"), b"a}b{c");
    }

    #[test]
    fn the_key_of_a_command_is_found() {
        let mut eval = Cmd::new();
        eval.arg("EVALSHA")
            .arg("hash")
            .arg(1)
            .arg("{foo}")
            .arg("bar");
        let mut get = Cmd::new();
        get.arg("GET").arg("bar");
        assert_eq!([&eval, &get].map(slot_of), [12_182, 5061]);
    }

    #[test]
    fn a_node_that_does_not_know_its_host_has_the_host_where_it_was_asked() {
        let node = |host| Value::Array(vec![host, Value::Int(7000), Value::Nil]);
        let range = |first, host| {
            let (first, last) = (Value::Int(first), Value::Int(first + 1));
            Value::Array(vec![first, last, node(host), node(Value::Nil)])
        };
        let named = Value::BulkString(b"10.0.0.1".to_vec());
        let reply = Value::Array(vec![range(0, named), range(2, Value::Nil)]);
        let expected = [(0, 1, "10.0.0.1"), (2, 3, "here")];
        let expected = expected.map(|(first, last, host)| (first, last, (host.to_owned(), 7000)));
        assert_eq!(read(reply, "here").unwrap(), expected);
        assert!(read(Value::Array(vec![Value::Nil]), "here").is_none());
    }
}
