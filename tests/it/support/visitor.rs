//! A visitor: an HTTP client with a cookie jar.

use std::net::SocketAddr;

use ureq::Agent;

use super::Reply;
use super::gate::PATIENCE;

/// Clones share the jar, as the tabs of one browser do.
#[derive(Clone)]
pub struct Visitor {
    agent: Agent,
    address: SocketAddr,
}

impl Visitor {
    pub fn new(address: SocketAddr) -> Self {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(PATIENCE))
            .build();
        Self {
            agent: config.into(),
            address,
        }
    }

    /// The same jar on another server.
    pub fn at(&self, address: SocketAddr) -> Self {
        Self {
            agent: self.agent.clone(),
            address,
        }
    }

    pub fn get(&self, path: &str) -> Reply {
        Self::reply(
            self.agent
                .get(format!("http://{}{path}", self.address))
                .call(),
        )
    }

    pub fn post(&self, path: &str) -> Reply {
        Self::reply(
            self.agent
                .post(format!("http://{}{path}", self.address))
                .send_empty(),
        )
    }

    /// Sends a form, with these headers beside those of the form itself.
    pub fn send(&self, path: &str, headers: &[(&str, &str)], form: &[(&str, &str)]) -> Reply {
        let url = format!("http://{}{path}", self.address);
        let request = headers
            .iter()
            .fold(self.agent.post(url), |request, (name, value)| {
                request.header(*name, *value)
            });
        Self::reply(request.send_form(form.iter().copied()))
    }

    /// Sends a value as JSON.
    pub fn send_json(&self, path: &str, value: &serde_json::Value) -> Reply {
        let request = self.agent.post(format!("http://{}{path}", self.address));
        let request = request.header("content-type", "application/json");
        Self::reply(request.send(value.to_string()))
    }

    /// What the session holds, as the site tells it.
    pub fn session(&self) -> serde_json::Value {
        self.get("/all").json()
    }

    /// The status of a request to a server that may go away meanwhile.
    pub fn try_post(&self, path: &str) -> Result<u16, ureq::Error> {
        let url = format!("http://{}{path}", self.address);
        Ok(self.agent.post(url).send_empty()?.status().as_u16())
    }

    /// The token in the jar.
    pub fn token(&self) -> Option<String> {
        let jar = self.agent.cookie_jar_lock();
        jar.get("127.0.0.1", "/", "bsession")
            .map(|cookie| cookie.value().to_owned())
    }

    /// Goes through with a request in a thread of its own.
    pub fn meanwhile(
        &self,
        run: impl FnOnce(&Self) -> Reply + Send + 'static,
    ) -> std::thread::JoinHandle<Reply> {
        let visitor = self.clone();
        std::thread::spawn(move || run(&visitor))
    }

    fn reply(response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Reply {
        let mut response = response.expect("the server answers");
        let headers = response
            .headers()
            .iter()
            .map(|(name, value)| {
                (
                    name.to_string(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let body = response.body_mut().read_to_string().expect("a body");
        Reply {
            status: response.status().as_u16(),
            headers,
            body,
        }
    }
}
