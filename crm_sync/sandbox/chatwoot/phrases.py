"""What the invented customers and agents of the sandbox's day are called and say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMES = (
    "Ana Example",
    "Bruno 🚀 Sample",
    "عمرو المثال",
    "Chloé d'Exemple",
    "דנה לדוגמה",
    "Dmitri Primerov",
    "Eve <b>Bold</b> Test",
    "Fatma Örnek",
    "Visitor",
    "李 示例",
    "Grace O'Sample",
    "Hiro 見本",
    "Ines Muster & Sons",
    "Jörg Mustermann",
    "Kim 표본",
    "Lía Ejemplo",
    'Max "Maxi" Sample',
    "Visitor",
    "Nadia Przykładowa",
    "Ólafur Dæmi",
    "Priya नमूना",
    "Quentin Faux",
    "Rosa 🌹 Esempio",
    "Søren Prøve",
    "Tomás Exemplo",
    "Uma Sample-Test",
    "Visitor",
    "Věra Příkladová",
    "Wim Voorbeeld",
    "Xenia Παράδειγμα",
    "Yusuf Örnekoğlu",
    "Zoë Proef",
)
VISITOR_WORDS = ("silent-forest", "brave-river", "green-cloud", "late-summer", "quiet-hill")
COMPANIES = ("Sol & Lua Bakery", "Example Freight", "Ñandú S.A.", "Fictitious GmbH", "Sample <Design> Ltd")
CITIES = ("Recife", "Sevilla", "Reykjavík", "القاهرة", "Kraków", "Ulm")
LABELS = ("vip", "warranty", "invoice", "delivery", "bug")
TOPICS = ("the parcel", "the invoice", "the ring & chain set", "the login", "a refund", "the warranty")

#: Each is filled with a topic and a reference that occurs only once.
OPENINGS = (
    "Hello! I have a question about {topic} 😡\nCan you help me? ({ref})",
    "Hi,\n\nit is about {topic}.\n\n--\nSent from my phone ({ref})",
    "<p>Good <b>morning</b>,</p><p>{topic} is wrong &amp; late.</p> {ref}",
    "مرحبا، عندي سؤال ({ref})",
    "Something with {topic} < 5 & > 3 is not right, see {ref}",
    "שלום, {ref}",
)
QUESTIONS = (
    "Any news on {topic}? {ref}",
    "It still does not work 😢 {ref}",
    "Thank you! 🙏 {ref}",
    "Order {ref} — I paid on Monday.\n\nSecond line.",
    "https://shop.example.com/orders?ref={ref}&lang=en",
    "هل من جديد؟ {ref}",
    "👍🏽 {ref}",
)
REPLIES = (
    "Hello, I am looking into {topic} 👍 ({ref})",
    "**Good news**: {topic} is on its way ({ref}).",
    "Could you send us a picture? {ref}",
    "We are sorry about {topic} & will call you. {ref}",
    "Steps:\n1. open the page\n2. press <Reset>\n3. tell us {ref}",
)
NOTES = (
    "Customer is a VIP, do not promise a date. {ref}",
    "Checked {topic} with <logistics> & finance: {ref}",
    "Second complaint this month ⚠️ {ref}",
)
CAPTIONS = ("Here is the picture {ref}", "See the file 📎 {ref}")
ATTACHMENTS: tuple[Mapping[str, Any], ...] = (
    {"file_type": "image", "name": "torn label.jpg", "file_size": 184_233},
    {"file_type": "file", "name": "invoice_ção.pdf", "file_size": 90_211},
    {"file_type": "audio", "name": "voice.ogg", "file_size": 22_110, "transcribed_text": "Please call me"},
    {
        "file_type": "location",
        "coordinates_lat": 47.0,
        "coordinates_long": 8.0,
        "fallback_title": "Example Square 1",
    },
    {
        "file_type": "contact",
        "fallback_title": "+12025550199",
        "meta": {"firstName": "Davi", "lastName": "Sample"},
    },
)


#: Area codes in which 555-0100 to 555-0199 are kept for fiction.
_AREAS = (202, 203, 205, 206, 207, 208, 209, 210, 212, 213, 214, 215, 216, 217, 218, 219, 224, 225, 228, 229)


def phone(number: int) -> str:
    """A number that no real person has; up to 2000 different ones."""
    return f"+1{_AREAS[number // 100 % len(_AREAS)]}55501{number % 100:02}"
