"""Where the page's parts come from."""

from harness.report import templates


def test_a_checkout_uses_its_own_folder():
    assert templates.read("report.html.j2").startswith("<!doctype html>")


def test_a_wheel_uses_what_it_carries(tmp_path, monkeypatch):
    carried = tmp_path / "_bundled" / "reports"
    carried.mkdir(parents=True)
    (carried / "report.css").write_text("carried", encoding="utf-8")
    monkeypatch.setattr(templates, "files", lambda _: tmp_path)
    assert templates.read("report.css") == "carried"
