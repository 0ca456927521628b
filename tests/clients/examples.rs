//! The examples answer the clients of their tutorials: the libraries of Socket.IO, Python's websockets, a browser.
//!
//! scripts/clients.sh fetches them. tests/service/examples.rs has what the examples do besides.

use std::process::Command;

use crate::browser::Browser;
use crate::common::{Example, example, take_turn, until};
use crate::socketio::{CLIENTS, LIBRARIES, Tutorial};
use crate::works_with::Running;
use serde_json::json;

fn url(example: &Example) -> String {
    format!("http://{}", example.address)
}

#[tokio::test]
#[ignore = "needs the clients of Socket.IO; scripts/test.sh installs them and runs this"]
async fn clients_of_both_generations_of_socketio_meet_in_the_chat() {
    let _turn = take_turn();
    let chat = Example::start("chat");
    let start = |library| Tutorial::start(library, &url(&chat), "any", &[]);
    let mut members = LIBRARIES.map(start);
    for member in &members {
        member.welcomed(&[]);
    }
    for sender in 0..members.len() {
        let name = format!("Ana {sender}");
        let mut say = |event: &str, data: serde_json::Value, heard: &str| {
            members[sender].send(&format!("{event} {data}"));
            for member in &members {
                assert_eq!(member.next(), heard);
            }
        };
        let joined = format!("host_join_room {name} {name} entrou na sala!");
        say("new_host", json!({ "name": name }), &joined);
        let said = format!("add_chat_message {name} Olá!");
        say("new_message", json!({"message": "Olá!"}), &said);
        let logged = chat.line_with("add_chat_message");
        assert!(
            logged.contains(&format!("{name:?} (127.0.0.1)")),
            "{logged}"
        );
    }
}

#[tokio::test]
#[ignore = "needs Chromium and the clients of Socket.IO; scripts/test.sh installs them and runs this"]
async fn the_page_of_the_chat_takes_a_name_and_shows_what_all_say() {
    let chat = Example::start("chat");
    let mut other = Tutorial::start(LIBRARIES[0], &url(&chat), "any", &[]);
    other.welcomed(&[]);
    let browser = Browser::chromium();
    let page = browser.phone_at("pt-BR", &url(&chat)).await;
    let log_in =
        "document.querySelector('input').value = 'Zoë', document.querySelector('button').click()";
    page.eval(log_in).await;
    let shows = async |line: &str| {
        until(line, async || {
            let shown = page
                .eval("document.querySelector('#lines')?.innerText")
                .await;
            shown.as_str().is_some_and(|shown| shown.contains(line))
        })
        .await;
    };
    shows("Zoë entrou na sala!").await;
    assert_eq!(other.next(), "host_join_room Zoë Zoë entrou na sala!");
    page.eval("document.querySelector('input').value = '<b>olá</b>', document.querySelector('button').click()")
        .await;
    assert_eq!(other.next(), "add_chat_message Zoë <b>olá</b>");
    shows("Zoë: <b>olá</b>").await;
    other.send(r#"new_host {"name":"Rui"}"#);
    other.send("new_message bom dia");
    shows("Rui: bom dia").await;
    browser.close().await;
}

/// The command line of Python's websockets, connected to an example.
fn websockets(example: &Example, path: &str) -> Running {
    let mut command = Command::new(CLIENTS.join("engineio-4/bin/python"));
    command.args([
        "-m",
        "websockets",
        &format!("ws://{}{path}", example.address),
    ]);
    Running::start(tempfile::tempdir().unwrap(), command)
}

#[tokio::test]
#[ignore = "needs websockets of Python; scripts/test.sh installs it and runs this"]
async fn echo_answers_websockets_of_python() {
    let echo = Example::start("echo");
    let mut clients = [websockets(&echo, ""), websockets(&echo, "/any/path")];
    for text in ["Teste", "ação ☃"] {
        for client in &mut clients {
            client.write(text);
            client.wait_for(&format!("Echo: {text}"), 0).await;
            echo.line_with(&format!("sent {text:?}"));
        }
    }
}

#[tokio::test]
#[ignore = "needs websockets of Python; scripts/test.sh installs it and runs this"]
async fn the_room_tells_websockets_of_python_what_all_say_and_who_leaves() {
    let room = Example::start("room");
    let mut clients = [websockets(&room, "/ws"), websockets(&room, "/ws")];
    let mut ends = [0; 2];
    for (number, client) in clients.iter_mut().enumerate() {
        // Who hears itself is in the room.
        client.write("in");
        ends[number] = client.wait_for("Mensagem recebida: in", 0).await;
    }
    let [first, mut second] = clients;
    second.write("Teste");
    for (client, end) in [&first, &second].into_iter().zip(ends) {
        client.wait_for("Mensagem recebida: Teste", end).await;
    }
    drop(second);
    first.wait_for("Um cliente desconectou.", ends[0]).await;
}

#[tokio::test]
#[ignore = "needs Chromium, and htmx from npm; scripts/test.sh installs them and runs this"]
async fn the_page_of_htmx_dims_the_light_with_the_scripts_that_npm_has_installed() {
    let htmx = Example::run(
        example("htmx")
            .arg("127.0.0.1:0")
            // npm has put them here.
            .current_dir(&*CLIENTS),
    );
    let browser = Browser::chromium();
    let pages = [
        browser.phone_at("en-US", &url(&htmx)).await,
        browser.phone_at("en-US", &url(&htmx)).await,
    ];
    let show = async |level: &str| {
        for page in &pages {
            until(level, async || {
                page.eval("document.querySelector('#light').innerText.trim()")
                    .await
                    == level
            })
            .await;
        }
    };
    show("50 %").await;
    pages[0].tap("[value=\"10\"]").await;
    show("60 %").await;
    pages[1].tap("[value=\"100\"]").await;
    show("100 %").await;
    browser.close().await;
}
