"""Narratives: what R4 allows in them and what it does not (R4 narrative.html#Narrative, txt-1 and txt-2)."""

from __future__ import annotations

import pytest

from fhir_server.model.narrative import problem_of
from fhir_server.validation import issues

XHTML = "http://www.w3.org/1999/xhtml"
HTML_4 = """
    address bdo div h1 h2 h3 h4 h5 h6 span
    abbr acronym blockquote br cite code dfn em kbd p pre q samp strong sub sup var
    dd dl dt li ol ul
    caption col colgroup table tbody td tfoot th thead tr
    b big hr i small tt
    a img
"""
"""Chapters 7, 8, 9 (without 9.4), 10, 11 and 15 of HTML 4.0, as far as they may stand in a div and are not deprecated;
and a and img, which txt-1 names."""


def div(content: str) -> str:
    return f'<div xmlns="{XHTML}">{content}</div>'


@pytest.mark.parametrize("element", HTML_4.split())
def test_formatting_elements_of_html_4_are_allowed(element: str) -> None:
    assert problem_of(div(f"text <{element}/>")) is None


@pytest.mark.parametrize(
    "element",
    """applet audio base basefont body button canvas center del dir embed fieldset font form frame frameset head
    html iframe input ins isindex label legend link math menu meta noframes noscript object optgroup option param
    s script select strike style svg template textarea title u video DIV Script unknown""".split(),  # noqa: SIM905
)
def test_other_elements_are_refused_by_name(element: str) -> None:
    problem = problem_of(div(f"text <p><{element}>x</{element}></p>"))
    assert problem is not None
    assert element in problem


@pytest.mark.parametrize(
    "content",
    [
        '<p class="a" id="b" lang="en" xml:lang="en" dir="ltr" title="c">x</p>',
        '<p style="color: red; background: #fff">x</p>',
        '<a href="https://example.org/a?b=c&amp;d">x</a><a name="b"/><a href="#b">x</a><a href="Patient/p">x</a>',
        '<img src="#image" alt="x"/><img src="data:image/png;base64,iVBORw0KGgo=" width="1" height="1"/>',
        '<table border="1" summary="x"><tr><td colspan="2" rowspan="1" align="left" valign="top">x</td></tr></table>',
        '<blockquote cite="https://example.org">x</blockquote>',
    ],
)
def test_attributes_of_formatting_links_and_images_are_allowed(content: str) -> None:
    assert problem_of(div(content)) is None


@pytest.mark.parametrize(
    "content",
    [
        '<p onclick="x()">x</p>',
        '<p onMouseOver="x()">x</p>',
        '<img src="#x" onerror="x()"/>',
        '<a href="#x" onfocus="x()" autofocus="autofocus">x</a>',
        '<a href="javascript:x()">x</a>',
        '<a href=" JavaScript:x()">x</a>',
        '<a href="java&#10;script:x()">x</a>',
        '<a href="java&#x09;script&#58;x()">x</a>',
        '<a href="&#106;avascript:x()">x</a>',
        '<a href="vbscript:x">x</a>',
        '<a href="data:text/html,x">x</a>',
        '<img src="data:image/svg+xml,x"/>',
        '<p style="width: expression(x())">x</p>',
        '<p style="background: url(javascript:x())">x</p>',
        '<p style="behavior: url(x)">x</p>',
        '<a xmlns:l="http://www.w3.org/1999/xlink" l:href="x">x</a>',
        '<p formaction="x">x</p>',
        '<p srcdoc="x">x</p>',
    ],
)
def test_active_content_is_refused(content: str) -> None:
    assert problem_of(div(f"text {content}")) is not None


@pytest.mark.parametrize(
    "content",
    [
        '<!--><img src="#x" onerror="x()"/>-->',
        '<!---><img src="#x" onerror="x()"/>-->',
        "<![CDATA[<script>x()</script>]]>",
        "<?php x ?>",
        "<p/><!ELEMENT p ANY>",
    ],
)
def test_markup_that_html_reads_otherwise_than_xml_is_refused(content: str) -> None:
    """The div's content is often used as innerHTML (R4 narrative.html)."""
    assert problem_of(div(f"text {content}")) is not None


@pytest.mark.parametrize(
    "text",
    [
        "plain text",
        "",
        "<p>x</p>",
        div("text <p>x"),
        div("text <p>x</b></p>"),
        div("text <br>"),
        div("fish & chips"),
        div("1 < 2"),
        div("text <p class=a>x</p>"),
        div("text <p class='a' class='b'>x</p>"),
        div("text\x01"),
        div("text") + div("text"),
        div("text") + "text",
        f'<p xmlns="{XHTML}">text</p>',
        "<div>text</div>",
        '<div xmlns="http://www.w3.org/2000/svg">text</div>',
        div('text <p xmlns="http://example.org">x</p>'),
        div("text <x:p>x</x:p>"),
        f'<?xml version="1.0"?>{div("text")}',
        f"<!DOCTYPE div>{div('text')}",
        f'<!DOCTYPE div [<!ENTITY a "aaaa">]>{div("&a;")}',
        f"<!-- > -->{div('text')}",
        f"{div('text')}<!-- < -->",
    ],
)
def test_only_one_well_formed_div_of_xhtml_is_a_narrative(text: str) -> None:
    assert problem_of(text) is not None


@pytest.mark.parametrize(
    "content",
    [
        "",
        " \n\t",
        "<p/>",
        "<p> </p>",
        "<p>\n<b> </b></p>",
        "<!-- text -->",
        "<br/>",
        "<hr/>",
        '<img alt="x"/>',
        "&#32;",
    ],
)
def test_a_div_needs_text_or_an_image(content: str) -> None:
    """txt-2"""
    assert problem_of(div(content)) is not None


@pytest.mark.parametrize("content", ["x", "<p><b>x</b></p>", "&amp;", '<img src="#x"/>', "<!-- a -->x", "&#9731;"])
def test_text_anywhere_or_an_image_is_enough(content: str) -> None:
    """txt-2"""
    assert problem_of(div(content)) is None


@pytest.mark.parametrize("entity", ["&amp;", "&lt;", "&gt;", "&quot;", "&apos;", "&#160;x", "&#xe9;", "é"])
def test_xmls_entities_and_numbers_are_allowed(entity: str) -> None:
    assert problem_of(div(f"<p title='{entity}'>{entity}</p>")) is None


@pytest.mark.parametrize("entity", ["&nbsp;", "&copy;", "&eacute;", "&unknown;", "&amp", "&#0;", "&#xD800;"])
def test_other_entities_are_refused(entity: str) -> None:
    """R4 narrative.html: there are no HTML entities, Unicode characters stand for them."""
    assert problem_of(div(f"text {entity}")) is not None


def test_a_narrative_is_checked_wherever_it_stands() -> None:
    bad = {"status": "generated", "div": div("<script>x()</script>")}
    composition = {
        "resourceType": "Composition",
        "text": bad,
        "contained": [{"resourceType": "Patient", "id": "p", "text": bad}],
        "status": "final",
        "type": {"text": "x"},
        "date": "2024",
        "author": [{"display": "x"}],
        "title": "x",
        "section": [{"section": [{"text": bad}]}],
    }
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": composition}]}
    place = "Bundle.entry[0].resource"
    assert [(issue.code, issue.expression) for issue in issues(bundle)] == [
        ("invalid", f"{place}.text.div"),
        ("invalid", f"{place}.contained[0].text.div"),
        ("invalid", f"{place}.section[0].section[0].text.div"),
    ]


def test_the_refusal_says_where_the_div_is_not_well_formed() -> None:
    assert "line 2" in str(problem_of(div("text\n<p>x</b>")))


def test_a_large_or_deep_narrative_is_checked_in_a_moment() -> None:
    assert problem_of(div("<b>" * 20_000 + "x" + "</b>" * 20_000)) is None
    assert problem_of(div("<p>text &amp; more</p>" * 20_000)) is None
