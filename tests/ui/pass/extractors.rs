// From none to sixteen extractors, each handler registered as actix-web wants it.

use actix_web::http::Method;
use actix_web::web;
use bsession::session;

macro_rules! handlers {
    ($($name:ident($($extractor:ident)*))*) => {
        $(
            #[session]
            async fn $name($($extractor: Method),*) -> String {
                $(session.insert(stringify!($extractor), $extractor.as_str()).unwrap();)*
                String::new()
            }
        )*

        fn main() {
            $(drop(web::get().to($name));)*
        }
    };
}

handlers! {
    none()
    one(a)
    two(a b)
    three(a b c)
    four(a b c d)
    five(a b c d e)
    six(a b c d e f)
    seven(a b c d e f g)
    eight(a b c d e f g h)
    nine(a b c d e f g h i)
    ten(a b c d e f g h i j)
    eleven(a b c d e f g h i j k)
    twelve(a b c d e f g h i j k l)
    thirteen(a b c d e f g h i j k l m)
    fourteen(a b c d e f g h i j k l m n)
    fifteen(a b c d e f g h i j k l m n o)
    sixteen(a b c d e f g h i j k l m n o p)
}
