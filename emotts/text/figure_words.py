"""What signs beside figures are called: words by language for minus, plus, money, per cent, and how the time of day is said.

Only where the reader of a language says nothing, or where the name in CLDR is not what one says of the sign ("US-Dollar").
"""

MINUS = {
    **{
        "ar": "ناقِص",
        "bg": "минус",
        "ca": "menys",
        "cmn": "负",
        "cs": "minus",
        "da": "minus",
        "de": "minus",
        "el": "μείον",
    },
    **{"es": "menos", "fi": "miinus", "fr": "moins", "hi": "माइनस", "hu": "mínusz", "id": "minus", "it": "meno"},
    **{"ja": "マイナス", "ko": "마이너스", "nb": "minus", "nl": "min", "pl": "minus", "pt": "menos", "ro": "minus"},
    **{"ru": "минус", "sk": "mínus", "sv": "minus", "th": "ลบ", "tr": "eksi", "uk": "мінус", "vi": "âm"},
}
PLUS = {
    **{"cmn": "加", "cs": "plus", "da": "plus", "de": "plus", "es": "más", "fi": "plus", "fr": "plus", "hi": "प्लस"},
    **{
        "it": "più",
        "ja": "プラス",
        "nb": "pluss",
        "nl": "plus",
        "pl": "plus",
        "pt": "mais",
        "ru": "плюс",
        "sv": "plus",
    },
    **{"th": "บวก", "tr": "artı", "uk": "плюс", "vi": "cộng"},
}
PERCENT = {"ar": "{} بالمِئَة", "cmn": "百分之{}", "ko": "{}퍼센트", "vi": "{} phần trăm"}  # CLDR has no word there

CODES = {  # sign: ISO 4217
    **{"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "₹": "INR", "₽": "RUB", "₺": "TRY", "₩": "KRW", "฿": "THB"},
    **{"₫": "VND", "₴": "UAH", "₪": "ILS", "R$": "BRL", "zł": "PLN", "Kč": "CZK"},
    **{code: code for code in ("EUR", "USD", "GBP", "JPY", "CHF")},
}
# Exactly one of it | more of it; in Polish and Russian: one | few | many | a decimal. A single form stands behind any number.
MONEY = {
    "ar": {"€": "يورو", "$": "دولار"},
    "cmn": {"€": "欧元", "$": "美元", "£": "英镑", "¥": "元"},
    "de": {"€": "ein Euro|Euro", "$": "ein Dollar|Dollar", "£": "ein Pfund|Pfund", "¥": "ein Yen|Yen"},
    "es": {"€": "un euro|euros", "$": "un dólar|dólares", "£": "una libra|libras", "¥": "un yen|yenes"},
    "fr": {"€": "un euro|euros", "$": "un dollar|dollars", "£": "une livre|livres", "¥": "un yen|yens"},
    "hi": {"€": "यूरो", "$": "डॉलर", "£": "पाउंड", "₹": "एक रुपया|रुपये"},
    "it": {"€": "un euro|euro", "$": "un dollaro|dollari", "£": "una sterlina|sterline", "¥": "uno yen|yen"},
    "ja": {"€": "ユーロ", "$": "ドル", "£": "ポンド", "¥": "円"},
    "nl": {"€": "één euro|euro", "$": "één dollar|dollar", "£": "één pond|pond", "¥": "één yen|yen"},
    "pl": {
        "€": "jedno euro|euro|euro|euro",
        "$": "jeden dolar|dolary|dolarów|dolara",
        "£": "jeden funt|funty|funtów|funta",
        "zł": "jeden złoty|złote|złotych|złotego",
    },
    "pt": {"€": "um euro|euros", "$": "um dólar|dólares", "£": "uma libra|libras", "R$": "um real|reais"},
    "ru": {
        "€": "один евро|евро|евро|евро",
        "$": "один доллар|доллара|долларов|доллара",
        "£": "один фунт|фунта|фунтов|фунта",
        "₽": "один рубль|рубля|рублей|рубля",
    },
    "th": {"€": "ยูโร", "$": "ดอลลาร์", "£": "ปอนด์", "¥": "เยน", "฿": "บาท"},
    "tr": {"€": "avro", "$": "dolar", "£": "sterlin", "¥": "yen", "₺": "lira"},
    "vi": {"€": "ơ rô", "$": "đô la", "£": "bảng", "¥": "yên", "₫": "đồng"},
}
WITH_CENTS = {"de": "", "es": "con", "fr": "", "it": "e", "nl": "", "pt": "e"}  # between 3 euros and 50

# The time of day: with minutes, at the full hour, and what may be written behind it. Others say the two numbers.
TIMES = {
    "cmn": ("{h}点{m}分", "{h}点", ""),
    "de": ("{h} Uhr {m}", "{h} Uhr", "Uhr"),
    "es": ("{h} y {m}", "{h}", "hs?|horas"),
    "fr": ("{h} heures {m}", "{h} heures", "h|heures?"),
    "hi": ("{h} बजकर {m} मिनट", "{h} बजे", "बजे"),
    "it": ("{h} e {m}", "{h}", ""),
    "ja": ("{h}時{m}分", "{h}時", ""),
    "nl": ("{h} uur {m}", "{h} uur", "uur"),
    "pt": ("{h} e {m}", "{h} horas", "h|horas"),
    "th": ("{h} นาฬิกา {m} นาที", "{h} นาฬิกา", r"น\.|นาฬิกา"),
    "vi": ("{h} giờ {m}", "{h} giờ", "giờ"),
}
HOURS = {  # feminine or short where the number alone is not
    "cmn": {2: "两"},
    "de": {1: "ein"},
    "es": {1: "una", 21: "veintiuna"},
    "fr": {1: "une", 21: "vingt et une"},
    "it": {1: "una"},
    "pt": {1: "uma", 2: "duas", 21: "vinte e uma", 22: "vinte e duas"},
}
AGAINST = {"cmn": "比", "de": "zu", "es": "a", "fr": "à", "it": "a", "ja": "対", "pt": "a"}  # a score such as 2:1
