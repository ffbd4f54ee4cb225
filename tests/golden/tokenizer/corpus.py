"""The texts that the tokenizer goldens are made from: written by hand, plus seeded random mixtures."""
import random

TEXTS = {
    "empty": "",
    "space": " ",
    "english": "The quick brown fox jumps over the lazy dog. It wasn't there; they've said we'll see, I'm sure he'd agree.\n"
               "In 1969, three people flew 384400 km to the Moon, and 1,234,567.89 dollars weren't enough!",
    "upper contractions": "IT'S WE'LL THEY'RE I'VE I'M HE'D DON'T 'S 'ſ it'ſ 'Ll 'lL 'T's''s",
    "german": "Fünfundzwanzig Füchse überqueren größere Straßen, während Übermut äußerst selten ist.",
    "french": "L'été où les élèves « naïfs » déjeunèrent ; ça coûte 12 € — n'est-ce pas ?",
    "spanish": "¿Dónde está la mañana? ¡El niño comió piñas!",
    "portuguese": "Não há razão para a informação: coração, avó, avô, pães.",
    "polish": "Zażółć gęślą jaźń, źdźbło trawy i łódź.",
    "turkish": "İstanbul'da ışık ılık, Iğdır'da değil.",
    "vietnamese": "Tôi không biết nói tiếng Việt, nhưng rất thích phở và bánh mì.",
    "russian": "Съешь же ещё этих мягких французских булок, да выпей чаю. Йод, ёлка.",
    "ukrainian": "Щастя не в грошах: їжак, ґанок, єдність.",
    "greek": "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία· ὁ ἄνθρωπος ᾧ.",
    "hebrew": "דג סקרן שט בים מאוכזב ולפתע מצא חברה; שָׁלוֹם עֲלֵיכֶם",
    "arabic": "مرحبا بالعالم، السَّلَامُ عَلَيْكُم ١٢٣٤٥ كتابٌ جديد",
    "persian": "می‌خواهم کتاب‌ها را بخوانم ۱۲۳",
    "hindi": "नमस्ते दुनिया, मैं हिन्दी में लिखता हूँ। संख्या १२३ और क़लम",
    "bengali": "আমার সোনার বাংলা, আমি তোমায় ভালোবাসি। কো কৌ",
    "tamil": "தமிழ் மொழி மிகவும் பழமையானது; கொ கோ கௌ",
    "thai": "ภาษาไทยไม่มีช่องว่างระหว่างคำ และมีวรรณยุกต์ ๑๒๓",
    "khmer": "ភាសាខ្មែរ ជាភាសាផ្លូវការ",
    "chinese": "今天天气很好，我们一起去公园散步吧。人工智能正在改变世界！2024年12月31日",
    "traditional chinese": "繁體中文測試：龍鳳呈祥，鬱鬱寡歡。",
    "japanese": "吾輩は猫である。名前はまだ無い。カタカナとひらがな、ﾊﾝｶｸ、がぎぐげご、東京タワー１２３",
    "korean": "안녕하세요 세계! 한국어 형태소 분석은 어렵다. 뷁 각",
    "georgian": "ქართული ენა, ᲓᲘᲓᲘ ასოები",
    "armenian": "Բարեւ աշխարհ, ինչպե՞ս ես։",
    "amharic": "ሰላም ልዑል ፩፪፫",
    "mongolian": "ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ a\u180eb",
    "emoji": "😀😃 👍🏽 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 ❤️ 1️⃣ #️⃣ 🧑🏿‍🚀 ☺ ☺️",
    "combining": "e\u0301 a\u0308\u0323 o\u0323\u0302 q\u0307\u0323 \u0301\u0302x \u1e9b\u0323 \u0344 \u2126 \u212b \ufb01 \uff21 \u0958 \u1100\u1161\u11a8",
    "marks alone": "\u0300\u0301\u0316\u0300 \u093c\u094d \u20dd \u1ab0",
    "math": "∀x∈ℝ: ⌈x⌉ = −⌊−x⌋, α²+β³ ≤ ½ × ¾ ⅷ ② ⁴ ₅ √π ≈ 1.7724… ①②③ Ⅳ",
    "symbols": "!!!???...---___***###@@@ $100 €200 £300 ¥400 50% & co. <<>> {}[]() \\|/ ~`^ ©®™ §¶†‡•",
    "quotes": "“double” ‘single’ „low‟ «guillemets» 'plain' \"plain\" `tick` ''' \"\"\"",
    "digits": "0 12 123 1234 12345 123456 1234567890123456789 3.14159 1e-10 0xDEADBEEF 007 12ab34 ٣٤٥ 一二三 ½¼",
    "spaces": "a  b   c    d     e\tf\t\tg \t h\u00a0i\u3000j\u2003k\u200bl\u2028m\u2029n\u0085o\x0bp\x0cq",
    "leading spaces": "   three before",
    "trailing spaces": "three after   ",
    "newlines": "a\nb\n\nc\n\n\nd\r\ne\r\n\r\nf\rg \n h  \n  i\n \n \nj \n\n k\n\n",
    "newline mixes": "!\n!\r\n !\n\n  \n\t\n.\n. \nx",
    "only newlines": "\n\n\n\n",
    "only tabs": "\t\t\t\t",
    "indent": "def f(x):\n    if x:\n        return x\n\treturn None\n\n\n    # end\n",
    "python": "import numpy as np\n\nclass Foo(Bar):\n    \"\"\"Doc.\"\"\"\n    def __init__(self, *args, **kwargs) -> None:\n"
              "        self.x_1 = {k: v for k, v in kwargs.items() if v != 0x1F}\n        print(f\"{self.x_1!r:>10}\")\n",
    "c++": "#include <vector>\ntemplate <typename T> std::vector<T>&& f(T&& t) noexcept { return {std::forward<T>(t)}; } // a->b::c\n",
    "javascript": "const f = async (x) => { await fetch(`https://example.com/?q=${x}&r=1#top`); return x ?? null; };\n",
    "html": "<!DOCTYPE html>\n<div class=\"a b\" id='c'>&nbsp;&lt;text&gt;</div><!-- comment -->\n",
    "json": "{\"key\": [1, 2.5, -3e4, true, null], \"nested\": {\"ünï\": \"\\u00e9\\n\"}}",
    "sql": "SELECT COUNT(*) AS n FROM t WHERE a >= 10 AND b LIKE '%x_%' GROUP BY c;",
    "latex": "\\begin{equation}\\int_0^\\infty e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}\\end{equation}",
    "url": "https://www.example.com/path/to/page.html?query=value&x=1%20y#frag user@example.org +49-123/456",
    "camel": "someCamelCase HTTPServer2Go snake_case_name kebab-case-name SCREAMING_SNAKE x86_64 utf8",
    "apostrophes": "don't Don'T rock'n'roll O'Neil's 'tis '90s ’s it’s 's's 'ree 've 'lll",
    "special tokens": "<s>hi</s> <|endoftext|><|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n",
    "special in words": "a<|endoftext|>b<s>c </s> <|im_end|> <|im_en <|im_end|>|> <unk><pad><bos><eos><start_of_turn>",
    "llama special": "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nx<|eot_id|>",
    "tool tokens": "<tool_call>\n{\"name\": \"f\"}\n</tool_call><think> </think>",
    "added corner cases": "xMIDx MID amid STRIP  left   LEFT   RIGHT   right \n BOTH \n Norm ＮＯＲＭ norm normal\u00e9 WORD WORDS aWORD _WORD WORD.",
    "metaspace literal": "▁already▁there ▁ ▁▁ x▁y",
    "byte token text": "<0x41> <0x0A> <0xZZ> <0x4> literal",
    "byte alphabet text": "Ġthe Ċ Ã© ł Ń",
    "control": "a\x00b\x01c\x1b[0m\x7f\x80\x9f\ufeffBOM\ufffd\ufffe\uffff",
    "astral": "𝕳𝖊𝖑𝖑𝖔 𐍈 𠀀𠮷 𝟘𝟙𝟚 \U0001f9ff \U000e0041 \U0010ffff \U00013000",
    "rtl marks": "abc\u200e\u200f\u202adef\u202c \u2066x\u2069",
    "long word": "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2,
    "agglutinated": "Muvaffakiyetsizleştiricileştiriveremeyebileceklerimizdenmişsinizcesine",
    "repeats": "ababababababababab aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa hahahahahahahahaha =========== ----------",
    "no spaces": "thequickbrownfoxjumpsoverthelazydogandthenitgoestosleepforalongtimeuntilthesunrises",
    "chat": "User: What is the capital of France?\nAssistant: The capital of France is Paris.\n\nUser: Thanks! 😊\n",
    "ignored merges": "the zebra zebra\n zebra",
    "markdown": "# Title\n\n- item **bold** _it_\n  1. `code`\n\n```py\nx = 1\n```\n\n| a | b |\n|---|---|\n> quote\n",
}

BROKEN = {  # bytes that are no UTF-8
    "lone continuation": b"a\x80b\xbfc",
    "truncated two": b"caf\xc3",
    "truncated three": b"\xe4\xb8 x \xe4",
    "truncated four": b"\xf0\x9f\x98 \xf0\x9f \xf0",
    "overlong": b"\xc0\xaf \xe0\x80\xaf \xf0\x80\x80\xaf",
    "surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "too large": b"\xf4\x90\x80\x80 \xf5 \xff\xfe",
    "mixed": "é".encode() + b"\xff" + "中".encode()[:2] + b"A" + "😀".encode()[:3] + "😀".encode(),
    "latin-1": "Größe café".encode("latin-1"),
    "binary": bytes(range(256)),
}

LONG = {  # unit, count
    "1 MiB of a": ("a", 1 << 20),
    "spaces then x": (" ", 50000),
    "newlines": ("\n", 50000),
    "digits": ("7", 50000),
    "two letters": ("ab", 50000),
    "accent": ("é", 30000),
    "emoji": ("😀", 10000),
    "marks": ("\u0301\u0323", 10000),
    "apostrophes": ("'", 50000),
    "words": ("hello world ", 10000),
}

ALPHABETS = [
    "abcdefghij ", "aeiouAEIOU's t re ve ll d", "0123456789 .,", " \t\n\r", "  \n", "\r\n \u00a0\u3000\u2028\u0085", "éèüößñçİıſK",
    "абвгдЖЩЫ ", "αβγδΩ ", "中文字符漢字，。", "あいうアイウー", "한국어각", "अआकि्ंा", "กขคะ่้", "אבגָּ", "عربيَّ١٢", "😀👍🏽👩\u200d👧❤\ufe0f🇩🇪",
    "\u0301\u0308\u0323\u0327e a", "!\"#$%&'()*+,-./:;<=>?@[]^_`{|}~", "∑∏√∞≠≤½²①Ⅳ", "'sSſtTrReEvVlLdDmM ", "▁<>|_x ", "\u200b\u200c\u200d\u180e\ufeffa",
]
SNIPPETS = ["<|endoftext|>", "<|im_start|>", "<s>", "</s>", "<unk>", "<0x41>", "MID", "LEFT", "RIGHT", " WORD ", "\n\n", "  ", "'re", "'LL"]


def random_texts(count, seed=20):
    rng, out = random.Random(seed), []
    for _ in range(count):
        text = ""
        for _ in range(rng.randint(1, 6)):
            if rng.random() < 0.15:
                text += rng.choice(SNIPPETS)
            else:
                alphabet = rng.choice(ALPHABETS)
                text += "".join(rng.choice(alphabet) for _ in range(rng.randint(1, 8)))
        out.append(text)
    return out


def entries(random_count):
    """The corpus as JSON-able dicts: {name, text}, {name, hex} or {name, unit, count}; `spaces then x` ends in an x."""
    out = [{"name": name, "text": text} for name, text in TEXTS.items()]
    out += [{"name": "broken: " + name, "hex": data.hex()} for name, data in BROKEN.items()]
    out += [{"name": "long: " + name, "unit": unit, "count": count} for name, (unit, count) in LONG.items()]
    return out + [{"name": f"random {i}", "text": text} for i, text in enumerate(random_texts(random_count))]


def text_of(entry):
    if "hex" in entry:
        return bytes.fromhex(entry["hex"]).decode("utf-8", errors="replace")
    return entry["text"] if "text" in entry else entry["unit"] * entry["count"] + "x"
