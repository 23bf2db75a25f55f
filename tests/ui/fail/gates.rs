use bsession::Gate;

const _ELSEWHERE: Gate = Gate::new().require().redirect("https://login.example/");

const _CUT: Gate = Gate::new().require().redirect("/login\n");

const _TWO_KEYS: Gate = Gate::new().require_key("staff").require_key("admin");

fn main() {}
