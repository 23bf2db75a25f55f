use bsession::Gate;

const _ELSEWHERE: Gate = Gate::new().require().redirect("https://login.example/");

fn main() {}
