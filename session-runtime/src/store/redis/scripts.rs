//! The Lua scripts, each of which a server runs in one step.
//!
//! A script is called by its hash. A server that does not know it, because it is new or was told to forget its
//! scripts, gets the whole script once.

use redis::{Cmd, Script};

/// A script, and its hash.
pub(super) struct LuaScript {
    code: &'static str,
    hash: Box<str>,
}

impl LuaScript {
    fn new(code: &'static str) -> Self {
        Self {
            code,
            hash: Script::new(code).get_hash().into(),
        }
    }

    /// Begins the command that runs the script by its hash. The number of keys, the keys and the arguments follow.
    pub(super) fn by_hash(&self, size: usize) -> Cmd {
        let mut cmd = Cmd::with_capacity(12, 80 + size);
        cmd.arg("EVALSHA").arg(&*self.hash);
        cmd
    }

    /// Returns the same command with the whole script in it.
    pub(super) fn in_full(&self, by_hash: &Cmd) -> Cmd {
        let mut cmd = Cmd::new();
        cmd.arg("EVAL").arg(self.code);
        for arg in by_hash.args_iter().skip(2) {
            if let redis::Arg::Simple(arg) = arg {
                cmd.arg(arg);
            }
        }
        cmd
    }
}

macro_rules! scripts {
    ($($name:ident: [$($file:literal),+];)+) => {
        /// All scripts.
        pub(super) struct Scripts {
            $(pub(super) $name: LuaScript,)+
        }

        impl Scripts {
            pub(super) fn new() -> Self {
                Self {
                    $($name: LuaScript::new(concat!($(include_str!(concat!("scripts/", $file))),+)),)+
                }
            }
        }
    };
}

scripts! {
    swap: ["head.lua", "list.lua", "write.lua", "swap.lua"];
    renew: ["head.lua", "list.lua", "write.lua", "renew.lua"];
    touch: ["head.lua", "list.lua", "touch.lua"];
    end: ["head.lua", "end.lua"];
    heads: ["heads.lua"];
    place: ["list.lua", "place.lua"];
    mark: ["mark.lua"];
    take: ["take.lua"];
    extend: ["extend.lua"];
    release: ["release.lua"];
}
