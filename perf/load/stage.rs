//! A server with its generator: what most questions begin with.

use crate::peer;
use crate::scene::{Cast, Scene};
use crate::server::{Network, Server};
use crate::world::{Fault, Place, World};
use crate::{GENERATOR_CPU, Options, SERVER_CPU};
use portunus::proto::dtls::Context;
use portunus::proto::srtp::Profile;

/// The generator in its place, and the network that servers are started in.
pub struct Stage {
    pub world: World,
    pub network: Network,
    pub context: Context,
}

impl Stage {
    /// Enters the network and takes the generator's CPU. Peers offer AES-GCM.
    pub fn new() -> Result<Stage, Fault> {
        let network = Network::enter();
        crate::process::pin(GENERATOR_CPU).map_err(|error| format!("CPU {GENERATOR_CPU}: {error}"))?;
        let world = World::new().map_err(|error| error.to_string())?;
        Ok(Stage { world, network, context: peer::context(Profile::AeadAes128Gcm) })
    }

    /// Our server with each of these least times between turns, and Janus where it can be and is asked for.
    pub fn servers(&self, options: &Options, coalesce_us: &[u32]) -> Result<Vec<Server>, Fault> {
        let say = |error: std::io::Error| error.to_string();
        let ours = |us: &u32| Server::portunus(&options.server, self.network, SERVER_CPU, 1, *us).map_err(say);
        let mut servers = coalesce_us.iter().map(ours).collect::<Result<Vec<_>, _>>()?;
        if !options.smoke {
            servers.extend(Server::janus(self.network, SERVER_CPU).map_err(say)?);
        }
        Ok(servers)
    }

    /// Where the peers of a server go.
    pub fn place(&self, server: &Server) -> Place {
        Place { signalling: server.signalling, ip: self.network.ip }
    }

    /// A scene on a server, everybody connected.
    pub fn assemble(&mut self, server: &Server, scene: &Scene) -> Result<Cast, Fault> {
        let place = self.place(server);
        let cast = Cast::assemble(&mut self.world, &place, &self.context, scene);
        cast.map_err(|fault| format!("{}: {fault}", server.name))
    }
}
