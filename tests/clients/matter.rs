//! Home apps: two controllers of Matter, matter.js and the CHIP SDK, on a LAN of two machines that has IPv6 link-local
//! addresses for them alone.

use std::fs;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::common::{LIMIT, Setup, TestClient, TestServer, dimmer};
use crate::controller::{Controller, Maker};
use crate::lan::{KITCHEN, Lan, until, with_lan};
use crate::mdns::Avahi;

const SETTINGS: &str = "[matter]\nenabled = true\n[[light]]\nname = \"desk\"\ntitle = \"Desk lamp\"\n\
                        [[light]]\nname = \"shelf\"\ngpio = 20\n";
/// The endpoint of the first light.
const DESK: u16 = 2;
/// The endpoint of the second one.
const SHELF: u16 = 3;

/// Starts the service on the Pi, in the folder of the setup.
fn serve(lan: &Lan, setup: Setup) -> TestServer {
    let mut command = setup.command();
    command.args(["--listen", "0.0.0.0:5000"]);
    let there = lan.kitchen.on(&command);
    setup.start_by(there)
}

/// What `dimmer matter …` on the Pi prints.
fn matter(lan: &Lan, arguments: &[&str]) -> String {
    let mut command = dimmer();
    command.arg("matter").args(arguments);
    let output = lan.kitchen.on(&command).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// What the service says of Matter to the phone.
fn state(lan: &Lan) -> Value {
    let answer = lan.phone.within(async || {
        let url = format!("http://{KITCHEN}:5000/api/matter");
        reqwest::get(url).await.unwrap().text().await.unwrap()
    });
    serde_json::from_str(&answer).unwrap()
}

/// The digits to pair it.
fn code(lan: &Lan) -> String {
    until("the code is there", || state(lan)["code"].is_string());
    state(lan)["code"].as_str().unwrap().into()
}

/// A light as a page on the phone shows it.
fn shown(lan: &Lan, light: &str) -> Value {
    let answer = lan.phone.within(async || {
        let url = format!("http://{KITCHEN}:5000/api/lights/{light}");
        reqwest::get(url).await.unwrap().text().await.unwrap()
    });
    serde_json::from_str(&answer).unwrap()
}

fn page_shows(lan: &Lan, light: &str, level: f64) {
    until(&format!("{light} is at {level}"), || {
        shown(lan, light)["level"] == level
    });
}

/// What all of a controller's test does: pairs, dims, follows, survives a restart, and is removed.
fn works_with(maker: Maker) {
    with_lan(|lan| {
        let setup = Setup::with(SETTINGS);
        let folder = setup.path().join("controller");
        let service = serve(&lan, setup);
        let mut controller = Controller::start(maker, &lan.phone, &folder);
        let code = code(&lan);
        assert!(
            matter(&lan, &[]).contains(&code),
            "the terminal has it, too"
        );

        controller.run(json!({"command": "pair", "code": code}));
        assert_eq!(
            controller.run(json!({"command": "lights"})),
            json!([DESK, SHELF])
        );
        until("it is listed", || {
            state(&lan)["fabrics"][0]["label"] == maker.label()
        });
        assert_eq!(state(&lan)["window"], "closed", "nobody else can pair");
        let paired = "matter: fabric 1 of vendor 0xfff1 is paired";
        assert!(service.log().contains(paired), "{}", service.log());
        assert!(matter(&lan, &[]).contains(maker.label()));

        dims(&lan, &mut controller);
        follows(&lan, &mut controller);
        describes(&lan, &service, &mut controller);

        let service = serve(&lan, service.stop().1);
        // It finds out by a command that is not answered.
        let level = json!({"command": "level", "endpoint": DESK, "level": 127});
        until("it finds the service again", || {
            controller.attempt(level.clone()).is_ok()
        });
        page_shows(&lan, "desk", 50.0);
        set(&lan, &["20", "--light", "desk"]);
        controller.reports(DESK, "level", 51);
        drop(controller);
        let mut controller = Controller::start(maker, &lan.phone, &folder);
        controller.run(json!({"command": "connect"}));
        controller.run(json!({"command": "on", "endpoint": DESK, "on": false}));
        page_shows(&lan, "desk", 0.0);

        assert!(matter(&lan, &["remove", "1"]).contains("nothing is paired"));
        let refused = controller.attempt(json!({"command": "on", "endpoint": DESK, "on": true}));
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(shown(&lan, "desk")["level"], 0.0);
        let service = serve(&lan, service.stop().1);
        assert_eq!(state(&lan)["fabrics"], json!([]), "also after a restart");
        drop(service);
    });
}

/// Changes a light by the command line on the Pi.
fn set(lan: &Lan, arguments: &[&str]) {
    let mut command = dimmer();
    command.arg("set").args(arguments);
    let output = lan.kitchen.on(&command).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// Commands of the controller reach the light, at once and with a transition.
fn dims(lan: &Lan, controller: &mut Controller) {
    controller.run(json!({"command": "level", "endpoint": DESK, "level": 254, "tenths": 0}));
    page_shows(lan, "desk", 100.0);
    controller.reports(DESK, "level", 254);
    controller.run(json!({"command": "on", "endpoint": DESK, "on": false}));
    page_shows(lan, "desk", 0.0);
    controller.reports(DESK, "on", false);
    assert_eq!(
        controller.read(DESK, "level", "currentLevel"),
        254,
        "what it goes back to"
    );
    controller.run(json!({"command": "on", "endpoint": DESK, "on": true}));
    page_shows(lan, "desk", 100.0);

    controller.run(json!({"command": "level", "endpoint": DESK, "level": 51, "tenths": 50}));
    let light = shown(lan, "desk");
    assert_eq!(light["level"], 20.0);
    assert!(
        light["left"].as_f64().unwrap() > 0.5,
        "it is on its way: {light}"
    );
    let on_its_way = controller
        .read(DESK, "level", "currentLevel")
        .as_u64()
        .unwrap();
    assert!((52..=254).contains(&on_its_way), "{on_its_way}");
    controller.reports(DESK, "level", 51);
    assert_eq!(shown(lan, "desk")["left"], Value::Null);

    controller.run(json!({"command": "step", "endpoint": DESK, "up": true, "size": 51}));
    page_shows(lan, "desk", 40.0);
    // As slow as it can be, so it does not arrive.
    controller.run(json!({"command": "move", "endpoint": DESK, "up": true, "rate": 1}));
    assert_eq!(shown(lan, "desk")["level"], 100.0);
    controller.run(json!({"command": "stop", "endpoint": DESK}));
    let stopped = shown(lan, "desk");
    assert!(stopped["level"].as_f64().unwrap() < 60.0, "{stopped}");
    assert_eq!(stopped["left"], Value::Null);
    // The lowest level of a command that may switch it off does so.
    controller.run(json!({"command": "level", "endpoint": DESK, "level": 1, "tenths": 0}));
    page_shows(lan, "desk", 0.0);

    controller.reports(DESK, "on", false);
    // On for a second; and again, as there is no time for which it has to stay off.
    for _ in 0..2 {
        controller.run(json!({"command": "on_for", "endpoint": DESK, "tenths": 10}));
        controller.reports(DESK, "on", true);
        controller.reports(DESK, "on", false);
    }

    controller.run(json!({"command": "identify", "endpoint": SHELF, "seconds": 60}));
    assert_eq!(shown(lan, "shelf")["effect"], "blink");
    controller.run(json!({"command": "identify", "endpoint": SHELF, "seconds": 0}));
    assert_eq!(shown(lan, "shelf")["effect"], Value::Null);
    assert_eq!(shown(lan, "shelf")["level"], 50.0);
}

/// The controller follows a page that drags, and ends at its last level.
fn follows(lan: &Lan, controller: &mut Controller) {
    let drags = async || {
        let mut page = TestClient::open(format!("{KITCHEN}:5000").parse().unwrap()).await;
        for level in 1..=60 {
            page.change("desk", json!({"level": level})).await;
            tokio::time::sleep(Duration::from_millis(16)).await;
        }
        page.settled().await;
    };
    let start = Instant::now();
    lan.phone.within(drags);
    // 60 percent.
    let before = controller.reports(DESK, "level", 152);
    let most = 10.0 * start.elapsed().as_secs_f64() + 1.0;
    assert!(
        (before.len() as f64) < most,
        "ten a second at most: {before:?}"
    );
    assert_eq!(controller.read(DESK, "level", "currentLevel"), 152);
    set(lan, &["off", "--light", "desk"]);
    controller.reports(DESK, "on", false);
}

/// Names and start-up behaviour are the settings of the light, wherever they are set.
fn describes(lan: &Lan, service: &TestServer, controller: &mut Controller) {
    assert_eq!(controller.read(DESK, "info", "nodeLabel"), "Desk lamp");
    assert_eq!(controller.read(SHELF, "info", "nodeLabel"), "shelf");
    assert_eq!(controller.read(DESK, "info", "reachable"), true);
    lan.kitchen.run(&format!(
        "{} settings set --light desk title=Reading on_start=20",
        dimmer().get_program().display()
    ));
    controller.reports(DESK, "label", "Reading");
    assert_eq!(controller.read(DESK, "level", "startUpCurrentLevel"), 51);
    let write = |value: Value| json!({"command": "write", "endpoint": DESK, "of": "level", "attribute": "startUpCurrentLevel", "value": value});
    controller.run(write(Value::Null));
    let settings = lan
        .kitchen
        .run(&format!("{} settings", dimmer().get_program().display()));
    let on_start = settings.lines().find(|line| line.contains("desk on_start"));
    assert!(on_start.unwrap().contains("restore"), "{settings}");
    let trace = service.setup().trace_folder();
    fs::remove_dir_all(&trace).unwrap();
    set(lan, &["30", "--light", "desk"]);
    controller.reports(DESK, "reachable", false);
    fs::create_dir(&trace).unwrap();
    controller.reports(DESK, "reachable", true);
    assert!(
        service.log().contains(controller.name.label()),
        "who did it is in the log"
    );
}

#[test]
#[ignore = "needs Node.js, matter.js and network namespaces; scripts/test.sh installs what is missing and runs this"]
fn matter_js_pairs_dims_follows_and_survives_a_restart() {
    works_with(Maker::MatterJs);
}

#[test]
#[ignore = "needs the CHIP SDK and network namespaces; scripts/test.sh installs what is missing and runs this"]
fn the_chip_sdk_pairs_dims_follows_and_survives_a_restart() {
    works_with(Maker::Chip);
}

/// Messages as Matter has them, and such that are nearly so.
struct Malformed(StdRng);

impl Malformed {
    /// A message to begin a session, without encryption: its header, and the parameters for a passcode.
    fn seed(&mut self) -> Vec<u8> {
        let (counter, node, exchange) = (
            self.0.random::<u32>(),
            self.0.random::<u64>(),
            self.0.random::<u16>(),
        );
        let opcode = *[0x00, 0x10, 0x20, 0x22, 0x24, 0x30, 0x32, 0x33, 0x40]
            .choose(&mut self.0)
            .unwrap();
        let protocol = u16::from(self.0.random_ratio(1, 4));
        let mut message = vec![0x04, 0, 0, 0];
        message.extend(counter.to_le_bytes());
        message.extend(node.to_le_bytes());
        message.extend([0x05, opcode]);
        message.extend(exchange.to_le_bytes());
        message.extend(protocol.to_le_bytes());
        // A structure with 32 random bytes, a session ID, and a passcode ID.
        message.extend([0x15, 0x30, 0x01, 0x20]);
        message.extend(self.0.random::<[u8; 32]>());
        message.extend([0x25, 0x02, 0x34, 0x12, 0x24, 0x03, 0x00, 0x28, 0x04, 0x18]);
        message
    }

    fn next(&mut self) -> Vec<u8> {
        let mut message = self.seed();
        match self.0.random_range(0..6) {
            0 => {}
            1 => message.truncate(self.0.random_range(0..message.len())),
            // A session that is not there, as if encrypted.
            2 => message[1] = self.0.random(),
            3 => {
                let length = self.0.random_range(0..1500);
                message = (0..length).map(|_| self.0.random()).collect();
            }
            4 => {
                let length = self.0.random_range(0..1200);
                message.extend((0..length).map(|_| self.0.random::<u8>()));
            }
            _ => {
                for _ in 0..self.0.random_range(1..8) {
                    let at = self.0.random_range(0..message.len());
                    message[at] ^= 1 << self.0.random_range(0..8);
                }
            }
        }
        message
    }
}

#[test]
#[ignore = "needs matter.js and network namespaces; scripts/test.sh installs what is missing and runs this"]
fn malformed_messages_neither_stop_it_nor_take_memory() {
    with_lan(|lan| {
        let setup = Setup::with(SETTINGS);
        let folder = setup.path().join("controller");
        let service = serve(&lan, setup);
        let code = code(&lan);
        let address = lan.kitchen.run("ip -6 -o addr show dev eth0 scope link");
        let address = address.split_whitespace().nth(3).unwrap();
        let address: Ipv6Addr = address.split('/').next().unwrap().parse().unwrap();
        // The kernel first asks whether another machine has the phone's address.
        until("the phone has an address", || {
            let usable = "ip -6 -o addr show dev eth0 scope link -tentative";
            !lan.phone.run(usable).is_empty()
        });
        let (minute, most) = (Duration::from_secs(60), 200_000);
        let flood = |count: usize, seed: u64| {
            lan.phone.within(async || {
                let index = rustix::net::netdevice::name_to_index(
                    std::net::UdpSocket::bind("[::]:0").unwrap(),
                    "eth0",
                );
                let socket = tokio::net::UdpSocket::bind("[::]:0").await.unwrap();
                let (index, start) = (index.unwrap(), Instant::now());
                let mut malformed = Malformed(StdRng::seed_from_u64(seed));
                for number in 0..count {
                    let port = if number % 10 == 0 { 5353 } else { 5540 };
                    let to = SocketAddrV6::new(address, port, 0, index);
                    socket.send_to(&malformed.next(), to).await.unwrap();
                    if number % 50 == 0 {
                        // As fast as it reads them, or the kernel would drop them.
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        if start.elapsed() > minute {
                            break;
                        }
                    }
                }
            });
        };
        flood(most / 10, 1);
        let before = service.memory();
        flood(most, 2);
        let grown = service.memory().saturating_sub(before);
        assert!(grown < 1024, "{grown} KiB more than {before}");
        assert!(!service.log().contains("panicked"), "{}", service.log());

        matter(&lan, &["open"]);
        assert_eq!(self::code(&lan), code);
        // For some seconds it still waits for the rest of what has begun so well.
        let mut attempts = 0;
        let mut controller = loop {
            attempts += 1;
            let folder = folder.with_extension(attempts.to_string());
            let mut controller = Controller::start(Maker::MatterJs, &lan.phone, &folder);
            let pair = json!({"command": "pair", "code": code});
            match controller.attempt_within(LIMIT, pair) {
                Ok(_) => break controller,
                Err(error) => assert!(attempts < 6, "after {attempts} attempts: {error}"),
            }
        };
        controller.run(json!({"command": "level", "endpoint": DESK, "level": 254}));
        page_shows(&lan, "desk", 100.0);
    });
}

#[test]
#[ignore = "needs network namespaces; scripts/test.sh installs what is missing and runs this"]
fn a_proxy_a_second_dimmer_and_a_damaged_file_get_nowhere() {
    with_lan(|lan| {
        let first = serve(&lan, Setup::with(SETTINGS));
        code(&lan);
        let (seen, refused) = lan.phone.within(async || {
            // As a proxy that makes the page known to the world would send it.
            let client = reqwest::Client::new();
            let url = format!("http://{KITCHEN}:5000/api/matter");
            let forwarded = ("X-Forwarded-For", "203.0.113.9");
            let seen = client.get(&url).header(forwarded.0, forwarded.1).send();
            let open = client
                .post(url.clone() + "/open")
                .header(forwarded.0, forwarded.1);
            let seen = seen.await.unwrap().text().await.unwrap();
            (seen, open.send().await.unwrap().status().as_u16())
        });
        assert!(
            seen.contains(r#""window":"open""#) && !seen.contains("MT:"),
            "{seen}"
        );
        assert_eq!(refused, 403, "who comes by a proxy cannot pair");
        assert!(
            first.log().contains("matter: on UDP port 5540"),
            "{}",
            first.log()
        );
        // Another one on the same machine takes another port, as mDNS says which.
        let setup = Setup::with(SETTINGS);
        let mut command = setup.command();
        command.args(["--listen", "0.0.0.0:5001"]);
        let second = setup.start_by(lan.kitchen.on(&command));
        until("the second one has a port", || {
            second.log().contains("matter: on UDP port ")
        });
        assert!(!second.log().contains("port 5540"), "{}", second.log());
        drop(second);
        let setup = first.stop().1;

        let damages = [
            ("0001.bin", "what is paired cannot be read"),
            (
                "identity.json",
                "identity.json is damaged; remove it for a new one",
            ),
        ];
        let mut setup = Some(setup);
        for (file, reason) in damages {
            let damaged = setup.take().unwrap();
            fs::write(damaged.path().join("state/matter").join(file), "{}").unwrap();
            let service = serve(&lan, damaged);
            set(&lan, &["40", "--light", "desk"]);
            page_shows(&lan, "desk", 40.0);
            until("it says why", || service.log().contains(reason));
            let mut command = dimmer();
            command.args(["matter", "open"]);
            let refused = lan.kitchen.on(&command).output().unwrap();
            let error = String::from_utf8(refused.stderr).unwrap();
            assert!(error.contains(reason), "{error}");
            setup = Some(service.stop().1);
        }
    });
}

#[test]
#[ignore = "needs both controllers, Avahi and network namespaces; scripts/test.sh installs what is missing and runs this"]
fn two_controllers_and_a_page_stay_in_step_and_each_leaves_alone() {
    with_lan(|lan| {
        let setup = Setup::with(SETTINGS);
        let folder = setup.path().to_owned();
        // It has the port of mDNS first, as on Raspberry Pi OS.
        let _avahi = Avahi::start(&lan.kitchen);
        let _service = serve(&lan, setup);
        let mut ana = Controller::start(Maker::MatterJs, &lan.phone, &folder.join("ana"));
        let mut ben = Controller::start(Maker::Chip, &lan.phone, &folder.join("ben"));
        ana.run(json!({"command": "pair", "code": code(&lan)}));
        assert_eq!(
            state(&lan)["code"],
            Value::Null,
            "the first one closes the window"
        );
        matter(&lan, &["open"]);
        ben.run(json!({"command": "pair", "code": code(&lan)}));
        until("both are listed", || {
            state(&lan)["fabrics"].as_array().unwrap().len() == 2
        });

        ana.run(json!({"command": "level", "endpoint": DESK, "level": 229, "tenths": 0}));
        ben.reports(DESK, "level", 229);
        ben.run(json!({"command": "level", "endpoint": DESK, "level": 25, "tenths": 0}));
        ana.reports(DESK, "level", 25);
        page_shows(&lan, "desk", 10.0);
        set(&lan, &["80", "--light", "desk"]);
        for controller in [&mut ana, &mut ben] {
            controller.reports(DESK, "level", 203);
        }

        ana.run(json!({"command": "leave"}));
        until("only the other is listed", || {
            let fabrics = state(&lan)["fabrics"].clone();
            fabrics.as_array().unwrap().len() == 1 && fabrics[0]["label"] == "Flat of Ben"
        });
        ben.run(json!({"command": "level", "endpoint": DESK, "level": 254, "tenths": 0}));
        page_shows(&lan, "desk", 100.0);
        matter(&lan, &["reset"]);
        let state = state(&lan);
        assert_eq!(state["fabrics"], json!([]));
        assert_eq!(state["window"], "open", "a reset lets others pair");
    });
}

#[test]
#[ignore = "needs the CHIP SDK and network namespaces; scripts/test.sh installs what is missing and runs this"]
fn a_wrong_code_and_a_pairing_that_is_cut_off_leave_nothing_behind() {
    with_lan(|lan| {
        let setup = Setup::with(SETTINGS);
        let folder = setup.path().join("controller");
        let service = serve(&lan, setup);
        let code = code(&lan);
        let identity = service.setup().path().join("state/matter/identity.json");
        let identity: Value = serde_json::from_slice(&fs::read(identity).unwrap()).unwrap();
        let mut controller = Controller::start(Maker::Chip, &lan.phone, &folder);
        for _ in 0..3 {
            let wrong =
                json!({"command": "pair_wrong", "discriminator": identity["discriminator"]});
            let refused = controller.attempt(wrong);
            assert!(refused.is_err(), "{refused:?}");
        }
        assert_eq!(state(&lan)["fabrics"], json!([]));
        assert_eq!(state(&lan)["window"], "open", "the right code still works");

        controller.run(json!({"command": "pair_half", "code": code}));
        let service = serve(&lan, service.kill());
        assert_eq!(
            state(&lan)["fabrics"],
            json!([]),
            "nothing is kept of half a pairing"
        );
        drop(controller);
        let folder = folder.with_extension("2");
        let mut controller = Controller::start(Maker::Chip, &lan.phone, &folder);
        let code = self::code(&lan);
        controller.run(json!({"command": "pair_half", "code": code}));
        controller.run(json!({"command": "give_up"}));
        until("it is forgotten", || state(&lan)["fabrics"] == json!([]));
        drop(controller);

        matter(&lan, &["open"]);
        let folder = folder.with_extension("3");
        let mut controller = Controller::start(Maker::Chip, &lan.phone, &folder);
        controller.run(json!({"command": "pair", "code": self::code(&lan)}));
        assert_eq!(state(&lan)["fabrics"].as_array().unwrap().len(), 1);
        drop(service);
    });
}
