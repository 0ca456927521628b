//! A Raspberry Pi in QEMU: its shell, and its GPIO registers as seen from outside.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::waveform::Waveform;

/// How long the Pi may take for anything before it counts as hung. It boots in some three seconds, and with a whole system
/// in some twenty, but in minutes where the host has other work.
pub const LIMIT: Duration = Duration::from_secs(600);

/// A model of the Pi as QEMU has it.
#[derive(Debug)]
pub struct Model {
    /// QEMU's name of it.
    machine: &'static str,
    /// Where its peripherals are in the memory.
    peripherals: u32,
    /// The kernel's name of its serial console.
    console: &'static str,
    /// QEMU's serial ports up to the console.
    serial: &'static [&'static str],
}

pub const PI_3B: Model = Model {
    machine: "raspi3b",
    peripherals: 0x3f00_0000,
    console: "ttyS1",
    // The first serial port is Bluetooth's.
    serial: &["-serial", "null", "-serial", "chardev:console"],
};

pub const PI_ZERO: Model = Model {
    machine: "raspi0",
    peripherals: 0x2000_0000,
    console: "ttyAMA0",
    serial: &["-serial", "chardev:console"],
};

/// BCM2835 ARM Peripherals, 6.1, from the peripherals on: three bits for each GPIO, ten GPIOs a register.
const GPFSEL0: u32 = 0x20_0000;
/// The levels of GPIO 0 to 31, a bit each.
const GPLEV0: u32 = 0x20_0034;

/// QEMU's event for a write to a register of any device.
const WRITE: &str = "memory_region_ops_write";

/// A running Pi, which is killed when this is dropped.
pub struct Machine {
    qemu: Child,
    console: UnixStream,
    /// Output of the console that was not read yet.
    unread: String,
    monitor: BufReader<UnixStream>,
    /// What QEMU traces; read up to the end of the last trace.
    trace: File,
    commands: u32,
    model: &'static Model,
    /// What it was booted from: a folder with a kernel and device trees.
    kernel: PathBuf,
    /// Holds the sockets and the trace.
    _folder: TempDir,
}

impl Machine {
    /// Boots a kernel of the lab folder with one of its device trees, up to a shell.
    pub fn boot(model: &'static Model, kernel: &Path, tree: &str) -> Machine {
        Machine::start(model, kernel, tree, "quiet", &[])
    }

    /// The same with the system on its SD card, which keeps what is written to it; more options for the kernel.
    pub fn boot_system(kernel: &Path, tree: &str, options: &str) -> Machine {
        let card = kernel.with_file_name("sd.img");
        let card = format!("if=sd,format=raw,file={}", card.display());
        let options = format!("quiet root=/dev/mmcblk0 {options}");
        Machine::start(&PI_3B, kernel, tree, &options, &["-drive", &card])
    }

    fn start(
        model: &'static Model,
        kernel: &Path,
        tree: &str,
        options: &str,
        arguments: &[&str],
    ) -> Machine {
        let folder = tempfile::tempdir().unwrap();
        let output = File::create(folder.path().join("qemu.log")).unwrap();
        let trace = folder.path().join("trace");
        File::create(&trace).unwrap();
        let socket = |name: &str| folder.path().join(name).display().to_string();
        let mut qemu = Command::new(kernel.with_file_name("qemu"))
            // One thread keeps the emulated time steady; with more, duties at 1 kHz were wrong.
            .args(["-accel", "tcg,thread=single", "-machine", model.machine])
            .args(["-display", "none", "-monitor", "none", "-no-reboot"])
            .arg("-kernel")
            .arg(kernel.join("vmlinuz"))
            .arg("-dtb")
            .arg(kernel.join(format!("{tree}.dtb")))
            .arg("-initrd")
            .arg(kernel.with_file_name("initrd.gz"))
            // rppal needs iomem=relaxed, as Debian's kernel has no /dev/gpiomem.
            .arg("-append")
            .arg(format!(
                "console={},115200 iomem=relaxed {options}",
                model.console
            ))
            .args(model.serial)
            .arg("-chardev")
            .arg(format!(
                "socket,id=console,path={},server=on,wait=off",
                socket("console")
            ))
            .arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", socket("monitor")))
            // Port 0: any that is free.
            .arg("-netdev")
            .arg("user,id=net,hostfwd=tcp:127.0.0.1:0-:5000,hostfwd=tcp:127.0.0.1:0-:22")
            .args(["-device", "usb-net,netdev=net"])
            .args(["-msg", "timestamp=on", "-D"])
            .arg(&trace)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let mut connect = |name: &str| {
            let start = Instant::now();
            loop {
                if let Ok(stream) = UnixStream::connect(folder.path().join(name)) {
                    return stream;
                }
                if start.elapsed() > LIMIT || qemu.try_wait().unwrap().is_some() {
                    let _ = qemu.kill();
                    let log = fs::read_to_string(folder.path().join("qemu.log")).unwrap();
                    panic!("QEMU did not start: {log}");
                }
                sleep(Duration::from_millis(20));
            }
        };
        let console = connect("console");
        console
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        let monitor = BufReader::new(connect("monitor"));
        let mut machine = Machine {
            qemu,
            console,
            unread: String::new(),
            monitor,
            trace: File::open(trace).unwrap(),
            commands: 0,
            model,
            kernel: kernel.into(),
            _folder: folder,
        };
        machine.read_monitor();
        machine.query_monitor("qmp_capabilities", json!({}));
        machine.read_to("READY\r\n");
        // The shell's greeting is not the answer to anything.
        machine.run("true");
        machine
    }

    /// Where a port of the Pi, 5000 or 22, is reached.
    pub fn address(&mut self, port: u16) -> SocketAddr {
        let answer = self.human("info usernet");
        // "TCP[HOST_FORWARD]  13  127.0.0.1 40123  10.0.2.15  5000  0  0"
        let outside = answer.lines().find_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let is_it = line.contains("HOST_FORWARD") && columns[5] == port.to_string();
            is_it.then(|| columns[3].parse().unwrap())
        });
        SocketAddr::from(([127, 0, 0, 1], outside.unwrap()))
    }

    /// Ends the system and starts it again, with the same SD card, one of the device trees, and options for the kernel.
    pub fn reboot(&mut self, tree: &str, options: &str) {
        self.console.write_all(b"systemctl reboot\n").unwrap();
        self.has_rebooted(tree, options);
    }

    /// The same when the system reboots by itself.
    pub fn has_rebooted(&mut self, tree: &str, options: &str) {
        self.read_to("Restarting system");
        // There it hangs: QEMU does not reset by the Pi's watchdog.
        self.qemu.kill().unwrap();
        self.qemu.wait().unwrap();
        *self = Machine::boot_system(&self.kernel, tree, options);
    }

    /// What a shell command prints. It must succeed.
    pub fn run(&mut self, command: &str) -> String {
        self.commands += 1;
        let mark = format!("==end {}: ", self.commands);
        // The quotes keep a console that echoes from looking like the end.
        let line = format!("{command}; echo \"==\"\"end {}: $?\"\n", self.commands);
        self.console.write_all(line.as_bytes()).unwrap();
        let output = self.read_to(&mark).replace('\r', "");
        let status = self.read_to("\n");
        assert_eq!(status.trim(), "0", "{command}: {output}");
        output.trim().to_owned()
    }

    /// Starts the service and waits until it listens.
    pub fn start_dimmer(&mut self, flags: &str) {
        // Away from the console, which would slow it down.
        self.run(&format!(
            "(dimmer {flags} >/tmp/log 2>&1 </dev/null & echo $! >/tmp/pid)"
        ));
        let output = self.run(
            "for i in $(seq 100); do grep -q 'open http' /tmp/log && break; sleep 0.1; done; cat /tmp/log",
        );
        assert!(
            output.contains("open http"),
            "dimmer did not start: {output}"
        );
    }

    /// Sends the service a signal and waits for its end.
    pub fn end_dimmer(&mut self, signal: &str) {
        self.run(&format!(
            "kill -{signal} $(cat /tmp/pid); while kill -0 $(cat /tmp/pid) 2>/dev/null; do sleep 0.1; done"
        ));
    }

    /// Whether GPIO 21 is high.
    pub fn pin_is_high(&mut self) -> bool {
        self.register(GPLEV0) >> 21 & 1 == 1
    }

    /// From now on keeps every write to the pin; see [`Machine::end_trace`].
    pub fn start_trace(&mut self) {
        self.set_trace(true);
    }

    /// What was done to the pin since [`Machine::start_trace`].
    pub fn end_trace(&mut self) -> Waveform {
        self.set_trace(false);
        let mut trace = String::new();
        self.trace.read_to_string(&mut trace).unwrap();
        Waveform::parse(&trace, self.model.peripherals)
    }

    fn set_trace(&mut self, enable: bool) {
        let event = json!({"name": WRITE, "enable": enable});
        self.query_monitor("trace-event-set-state", event);
    }

    /// The function select of a GPIO.
    pub fn function_select(&mut self, gpio: u32) -> u32 {
        self.register(GPFSEL0 + gpio / 10 * 4) >> (gpio % 10 * 3) & 0b111
    }

    /// Everything the console prints up to and without `mark`.
    fn read_to(&mut self, mark: &str) -> String {
        let start = Instant::now();
        let mut bytes = [0; 4096];
        loop {
            if let Some(at) = self.unread.find(mark) {
                let rest = self.unread.split_off(at + mark.len());
                let mut output = std::mem::replace(&mut self.unread, rest);
                output.truncate(at);
                return output;
            }
            match self.console.read(&mut bytes) {
                Ok(0) => panic!("QEMU ended: {}", self.unread),
                Ok(count) => self.unread += &String::from_utf8_lossy(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("console: {error}"),
            }
            assert!(start.elapsed() < LIMIT, "no {mark:?} in: {}", self.unread);
        }
    }

    /// A register of a peripheral.
    fn register(&mut self, offset: u32) -> u32 {
        let address = self.model.peripherals + offset;
        let answer = self.human(&format!("xp /1wx {address:#x}"));
        // "000000003f200034: 0x00200000"
        let value = answer.trim().rsplit_once(": 0x").map(|(_, value)| value);
        u32::from_str_radix(value.unwrap(), 16).unwrap()
    }

    /// A command of QEMU's human monitor.
    fn human(&mut self, command: &str) -> String {
        let answer = self.query_monitor("human-monitor-command", json!({"command-line": command}));
        answer.as_str().unwrap().to_owned()
    }

    fn query_monitor(&mut self, command: &str, arguments: Value) -> Value {
        let question = json!({"execute": command, "arguments": arguments});
        self.monitor
            .get_mut()
            .write_all(format!("{question}\n").as_bytes())
            .unwrap();
        loop {
            let mut message = self.read_monitor();
            if message.get("return").is_some() {
                return message["return"].take();
            }
            // Events come in between.
            assert!(message.get("error").is_none(), "{command}: {message}");
        }
    }

    fn read_monitor(&mut self) -> Value {
        let mut line = String::new();
        self.monitor.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}
