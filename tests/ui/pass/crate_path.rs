//! The library under another path: `#[session(crate = path)]`.

// `::bsession` is another crate here: an expansion that used it would not compile.
extern crate bsession as the_library;
extern crate core as bsession;

use actix_web::{Responder, web::Path};
use serde::{Deserialize, Serialize};

/// A framework that takes the library over.
mod my_framework {
    pub(crate) mod sessions {
        pub(crate) use ::the_library::*;
    }

    /// Handlers that a macro of the framework makes.
    macro_rules! counting {
        ($name:ident) => {
            #[$crate::my_framework::sessions::session(crate = $crate::my_framework::sessions)]
            async fn $name() -> String {
                String::from("counted")
            }
        };
        ($name:ident, $path:path) => {
            #[$crate::my_framework::sessions::session(crate = $path)]
            async fn $name() -> String {
                String::from("counted")
            }
        };
    }
    pub(crate) use counting;
}

use my_framework::sessions::{Session, Sessions, View, session};

#[derive(Default, Serialize, Deserialize)]
struct Cart {
    items: Vec<u32>,
}

impl View for Cart {}

#[session(crate = crate::my_framework::sessions)]
async fn plain() -> impl Responder {
    session["key"].to_string()
}

#[session(crate = my_framework::sessions, csrf, lock, require, fresh = "15m", redirect = "/login", renew)]
async fn everything(id: Path<u32>, cart: &mut Cart, user: &str, visitor: &mut Session) -> String {
    cart.items.push(*id);
    visitor["user"] = user.into();
    String::new()
}

#[session(readonly, crate = self::my_framework::sessions, sessions = sessions)]
async fn of_another_service(sessions: actix_web::web::Data<Sessions>, cart: &Cart) -> String {
    format!("{} {}", cart.items.len(), session["key"])
}

my_framework::counting!(counted);
my_framework::counting!(counted_at_a_path, crate::my_framework::sessions);

mod below {
    use super::my_framework::sessions as ours;

    #[ours::session(crate = ours)]
    pub(crate) async fn renamed() -> &'static str {
        "text"
    }
}

fn main() {
    let get = actix_web::web::get;
    drop((get().to(plain), get().to(everything), get().to(of_another_service)));
    drop((get().to(counted), get().to(counted_at_a_path), get().to(below::renamed)));
}
