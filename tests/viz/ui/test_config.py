"""Where the page is served: locally to this machine alone, on a Space where it is asked."""

import pytest

from viz.ui.config import AppConfig, parse_arguments

SPACE = {"SPACE_ID": "someone/lsnet", "GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": "7861"}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, ("127.0.0.1", None, False)),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, ("0.0.0.0", None, False)),
        ({"GRADIO_SERVER_PORT": "8000"}, ("127.0.0.1", 8000, False)),
        ({"SPACE_ID": "someone/lsnet"}, ("0.0.0.0", None, True)),
        (SPACE, ("0.0.0.0", 7861, True)),
    ],
)
def test_the_environment_says_what_the_command_line_leaves_open(
    environment: dict[str, str], expected: tuple[str, int | None, bool]
) -> None:
    config = parse_arguments([], environment)
    assert (config.host, config.port, config.on_space) == expected


def test_the_command_line_has_the_last_word() -> None:
    assert parse_arguments(["--host", "::1", "--port", "80"], SPACE) == AppConfig(host="::1", port=80, on_space=True)


def test_a_port_that_is_no_number_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments([], {"GRADIO_SERVER_PORT": "http"})
    assert "invalid int value: 'http'" in capsys.readouterr().err


@pytest.mark.parametrize("threads", ["0", "-1", "two", "1.5"])
def test_threads_are_counted(threads: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--threads", threads])
    assert f"expected a whole number of at least 1, got {threads!r}" in capsys.readouterr().err
