"""The server: answers to the digit as predict gives them, and a clear word for everything that is no request."""

import base64
import io
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from shipped_models import MODELS, TEXTS
from starlette.testclient import TestClient

from netwright.core import messages
from netwright.core.errors import MissingExtra
from netwright.experiment.serving import application, serve
from netwright.serving import inputs as limits
from netwright.serving.app import encoded

PICTURE = np.random.default_rng(0).integers(0, 256, (30, 41), dtype=np.uint8)


def _file(format: str = "png", pixels: Any = PICTURE) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format)
    return content.getvalue()


IN_BASE64 = base64.b64encode(_file()).decode()
ROW = {"age": 31.5, "city": "Oslo", "member": True, "since": "2021-05-06"}
ASKED: dict[str, list[Any]] = {
    "image": [IN_BASE64, f"data:image/png;base64,{IN_BASE64}"],
    "colour": [base64.b64encode(_file("jpeg", np.stack([PICTURE] * 3, 2))).decode()],
    "mask": [IN_BASE64],
    "table": [ROW, {"age": None, "city": "Paris", "member": "no", "since": "2021-05-06"}],
    "regression": [[31.5, "Oslo", True, "2021-05-06"]],
    "array": [[1.0, 2.0, 3.0, 4.0, 5.5]],
    "series-lstm": [[[k / 3, -k] for k in range(12)]],
    "lstm": TEXTS,
    "multilabel": TEXTS[:1],
    "masked": ["the <mask> sees a dog"],
    "questions": [{"question": "who sees", "context": "the cat sees a dog"}],
    "seq2seq": TEXTS[:2],
    "gpt": ["the cat"],
    "agent": [[0.1, 0.2, -0.3, 0.4]],
}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def _client(name: str, **options: Any) -> TestClient:
    return TestClient(application(MODELS[name](), **options), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def image() -> Iterator[TestClient]:
    with _client("image") as client:
        yield client


@pytest.fixture(scope="module")
def table() -> Iterator[TestClient]:
    with _client("table") as client:
        yield client


def _given(name: str, value: Any) -> Any:
    """An input of a request as `predict` takes it."""
    return base64.b64decode(value.rpartition(",")[2]) if name in ("image", "colour", "mask") else value


@pytest.mark.parametrize("name", ASKED)
def test_answers_are_those_of_predict_to_the_digit(name: str) -> None:
    model = MODELS[name]()
    wanted = model.answers([_given(name, value) for value in ASKED[name]])
    with TestClient(application(model)) as client:
        reply = client.post("/predict", json={"inputs": ASKED[name]})
    assert reply.status_code == 200, reply.text
    assert reply.json() == {"answers": json.loads(encoded(wanted))}


def test_a_picture_file_and_its_bytes_are_the_same_input(tmp_path: Path) -> None:
    """A JPEG larger than the network's input, which a decoder may shrink on the way."""
    large = np.random.default_rng(1).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    (tmp_path / "x.jpg").write_bytes(_file("jpeg", large))
    model = MODELS["colour"]()
    assert model(tmp_path / "x.jpg") == model((tmp_path / "x.jpg").read_bytes())


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "image/jpeg; x=y"])
def test_a_picture_may_be_the_whole_body(kind: str, image: TestClient) -> None:
    alone = image.post("/predict", content=_file(), headers={"content-type": kind})
    assert alone.json() == image.post("/predict", json={"inputs": [IN_BASE64]}).json()


def test_a_mask_comes_as_a_picture_of_its_codes() -> None:
    with _client("mask") as client:
        told = client.post("/predict", json={"inputs": [IN_BASE64]}).json()["answers"][0]
    codes = np.asarray(Image.open(io.BytesIO(base64.b64decode(told["mask"].partition(",")[2]))))
    assert codes.shape == (30, 41) == tuple(told["size"]) and codes.max() <= 1


def test_what_the_model_is(table: TestClient) -> None:
    assert table.get("/health").json() == {"status": "ok", "network": "mlp", "task": "tabular-classification"}
    about = table.get("/model").json()
    assert about["classes"] == ["low", "mid", "high"]
    assert about["example"] == {"age": 40.0, "city": "Rome", "member": True, "since": "2019-04-17T00:00:00"}
    assert table.post("/predict", json={"inputs": [about["example"]]}).status_code == 200


BAD_JSON: list[tuple[bytes, int, str]] = [
    (b"", 400, "not JSON"), (b"{", 400, "not JSON"), (b"\xff\xfe", 400, "not JSON"), (b"[" * 100_000, 400, "too deep"),
    (b'{"inputs": [NaN]}', 400, "NaN is not JSON"), (b'{"inputs": [{"age": Infinity}]}', 400, "null"),
    (b"[]", 422, "body must be"), (b"null", 422, "body must be"), (b'"x"', 422, "body must be"),
    (b"{}", 422, "body must be"),
    (b'{"inputs": {}}', 422, "body must be"), (b'{"inputs": "x"}', 422, "body must be"),
    (b'{"input": []}', 422, "body must be"),
    (b'{"inputs": [[]], "path": "/etc/passwd"}', 422, "nothing else"), (b'{"inputs": []}', 422, "1 to 256"),
    (b'{"inputs": [' + b"1," * 300 + b"1]}", 413, "1 to 256"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status", "words"), BAD_JSON)
def test_a_body_that_is_no_request(body: bytes, status: int, words: str, table: TestClient) -> None:
    reply = table.post("/predict", content=body, headers={"content-type": "application/json"})
    assert (
        reply.status_code == status and words in reply.json()["error"] and reply.json()["field"] in ("body", "inputs")
    )


BAD_ROWS: list[tuple[Any, str, str]] = [
    (1, "inputs[0]", "a number; this model wants an object"), ("/etc/passwd", "inputs[0]", "a text; this model wants"),
    (None, "inputs[0]", "this model wants"), ({}, "inputs[0]", "the row has no"),
    ([], "inputs[0]", "0 values; expected 4"),
    ({**ROW, "age": "old"}, "inputs[0]", "age='old' is not a number"),
    ({**ROW, "age": [1]}, "inputs[0].age", "must be"),
    ({**ROW, "age": {"x": 1}}, "inputs[0].age", "must be"), ({**ROW, "age": 1e999}, "body", "not JSON"),
    ({**ROW, "since": "yesterday"}, "inputs[0]", "not a date"),
    ({**ROW, "member": "perhaps"}, "inputs[0]", "yes or no"),
    ([1, 2, 3], "inputs[0]", "3 values; expected 4"), ([[1], 2, 3, 4], "inputs[0].0", "must be"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "field", "words"), BAD_ROWS)
def test_a_row_that_does_not_fit(row: Any, field: str, words: str, table: TestClient) -> None:
    body = json.dumps({"inputs": [row]})
    reply = table.post("/predict", content=body, headers={"content-type": "application/json"})
    assert 400 <= reply.status_code < 500
    assert words in reply.json()["error"] and reply.json()["field"] == field
    assert "\n" not in reply.json()["error"]


def test_the_wrong_one_of_several_is_named(table: TestClient) -> None:
    reply = table.post("/predict", json={"inputs": [ROW, ROW, {**ROW, "age": "x"}]})
    assert reply.status_code == 422 and reply.json()["field"] == "inputs[2]"


BAD_PICTURES: list[Any] = [
    1, None, True, {}, {"path": "/etc/passwd"}, "", "/etc/passwd", "../../etc/passwd", "file:///etc/passwd",
    "C:\\x.png",
    "http://127.0.0.1/x.png", "data:image/png;base64,", "data:image/png;base64,????", "abcd", IN_BASE64[:40], [],
    [[1, 2], [3]],
    [["a"]], [[300]], [[-1]], [[[[1]]]],
    base64.b64encode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n").decode(),
]  # fmt: skip


@pytest.mark.parametrize("value", BAD_PICTURES, ids=lambda value: str(value)[:30])
def test_what_is_no_picture(value: Any, image: TestClient) -> None:
    reply = image.post("/predict", json={"inputs": [value]})
    assert reply.status_code == 422 and reply.json()["field"] == "inputs[0]", reply.text
    assert "\n" not in reply.json()["error"]


@pytest.mark.parametrize("name", ["image", "series-lstm", "array", "agent", "table"])
def test_no_text_is_opened_as_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "secret.png"
    file.write_bytes(_file())
    (tmp_path / "rows.csv").write_text("y,x\n" + "1,2\n" * 20)
    with _client(name) as client:
        for value in (str(file), str(tmp_path / "rows.csv"), f"file://{file}", {"y": str(file), "age": str(file)}):
            reply = client.post("/predict", json={"inputs": [value]})
            assert reply.status_code == 422 and reply.json()["field"].startswith("inputs[0]")


def test_a_cut_picture_is_a_mistake_of_the_sender(image: TestClient) -> None:
    reply = image.post("/predict", content=_file()[:-60], headers={"content-type": "image/png"})
    assert reply.status_code == 422 and "cannot be read as a picture" in reply.json()["error"]


def test_limits(image: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MOST_PIXELS", 1000)
    reply = image.post("/predict", content=_file(), headers={"content-type": "image/png"})
    assert reply.status_code == 413 and "1,230 pixels; send 1,000" in reply.json()["error"]
    reply = image.post("/predict", content=b"x" * (limits.MOST_BYTES + 1), headers={"content-type": "image/png"})
    assert reply.status_code == 413 and "larger than 32 MB" in reply.json()["error"]
    with _client("lstm") as client:
        reply = client.post("/predict", json={"inputs": ["a " * limits._MOST_LETTERS]})
        assert reply.status_code == 413 and "too long" in reply.json()["error"]


@pytest.mark.parametrize("value", [1, None, [], {}, "", " ", ["a", "b"], {"text": 3}, {"other": "x"}, [["a"]]])
def test_what_is_no_text(value: Any) -> None:
    with _client("lstm") as client:
        reply = client.post("/predict", json={"inputs": [value]})
    assert reply.status_code == 422 and reply.json()["field"] == "inputs[0]"


def test_addresses_and_types_that_are_not_there(image: TestClient, table: TestClient) -> None:
    for reply, status in (
        (image.get("/predict"), 405), (image.get("/etc/passwd"), 404), (image.get("/../../etc/passwd"), 404),
        (image.post("/"), 405), (image.get("/docs"), 404), (image.delete("/model"), 405),
        (table.post("/predict", content=_file(), headers={"content-type": "image/png"}), 415),
        (image.post("/predict", content=b"x", headers={"content-type": "text/plain"}), 415),
        (image.post("/predict", data={"inputs": "x"}), 415),
        (image.post("/predict", files={"file": _file()}), 415),
    ):  # fmt: skip
        assert reply.status_code == status and set(reply.json()) == {"error", "field"}


def test_a_bug_shows_the_client_no_traceback(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    model = MODELS["array"]()
    monkeypatch.setattr(model, "answers", lambda inputs: 1 / 0)
    with TestClient(application(model), raise_server_exceptions=False) as client:
        reply = client.post("/predict", json={"inputs": [[1, 2, 3, 4, 5]]})
    assert reply.status_code == 500 and "division" not in reply.text and "Traceback" not in reply.text
    assert "division" in caplog.text


@pytest.mark.parametrize("together", [1, 16])
def test_many_at_once_get_their_own_answers(together: int) -> None:
    model = MODELS["array"]()
    rows = [[float(k), 1.0, -k / 7, 2.0, 0.5] for k in range(40)]
    alone = [model.answers([row])[0]["probability"] for row in rows]
    sizes: list[int] = []
    real = model.answers
    model.answers = lambda inputs: sizes.append(len(inputs)) or real(inputs)  # type: ignore[method-assign, func-returns-value]
    with TestClient(application(model, together=together)) as client, ThreadPoolExecutor(8) as pool:
        asked = [*rows[:20], "wrong", *rows[20:]]
        replies = list(pool.map(lambda row: client.post("/predict", json={"inputs": [row]}), asked))
    assert replies.pop(20).status_code == 422
    told = [reply.json()["answers"][0]["probability"] for reply in replies]
    assert told == (alone if together == 1 else pytest.approx(alone, abs=1e-6))
    assert max(sizes) <= together and sum(sizes) == 40


@pytest.mark.parametrize("name", ["image", "table", "questions", "lstm", "array"])
def test_the_page_stands_by_itself_in_both_languages(name: str) -> None:
    with _client(name) as client:
        english, chinese = client.get("/"), client.get("/", headers={"accept-language": "zh-CN,zh;q=0.9"})
        assert client.get("/?lang=zh").text == chinese.text and "Ask the model" in english.text
    assert 'lang="zh"' in chinese.text and "询问模型" in chinese.text and "{{" not in english.text
    for page in (english, chinese):
        assert "http://" not in page.text and "https://" not in page.text and "src=" not in page.text
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert page.headers["content-type"].startswith("text/html")


def test_no_name_ends_the_script() -> None:
    model = MODELS["array"]()
    model.config["model"]["name"] = "</script><script>alert(1)</script>"
    with TestClient(application(model)) as client:
        assert "<script>alert" not in client.get("/").text


def test_mistakes_come_in_chinese(table: TestClient) -> None:
    messages.set_language("zh")
    try:
        reply = table.post("/predict", json={"inputs": ["x"]})
    finally:
        messages.set_language(None)
    assert "这个模型需要" in reply.json()["error"]


@pytest.mark.parametrize("library", ["fastapi", "uvicorn"])
def test_without_its_libraries_it_says_what_to_install(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtra, match=r"pip install 'netwright\[serve\]'"):
        serve(MODELS["array"]())
