"""What the names of columns mean, in English and Chinese: a query, a standard question, an id, a payload. Pure.

A name is compared by its key: without marks of obligation, explanations and numbers before it, in lower case with `_`
between words, and in simplified characters.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.retrieval.normalise import normalise


@dataclass(frozen=True)
class Names:
    """Names of one kind of column, those that say most first."""

    exact: tuple[str, ...]
    made: re.Pattern[str] = re.compile(r"(?!)")  # names made of several words
    weak: tuple[str, ...] = ()  # that say so only beside a column of the other kind, whose name is sure

    def rank(self, key: str) -> int | None:
        """Return how much a key says, the least number the most; None: it is no such name."""
        if key in self.exact:
            return self.exact.index(key)
        bare = _SUFFIX.sub("", _PREFIX.sub("", key))
        if bare in self.exact:  # beside a column of numbers, `label_name` holds its texts
            return self.exact.index(bare) - (_TEXT_OF.search(key) is not None)
        if self.made.fullmatch(key) or self.made.fullmatch(bare):
            return len(self.exact)
        return None


_ASKED = (
    "(?:问(?:题|句|法)?|质问|提问|咨询|询问|说法|话术|原话|语料|语句|句子|短语|例句|表达|表述|文本|输入|消息|样本|诉求"
    "|q|query)"
)
_SPOKEN = (
    "(?:q|quer(?:y|ies)|questions?|utterances?|phrases?|texts?|inputs?|says|said|messages?|msg|sentences?|questioning|"
    "(?:re)?phrasings?|wordings?|asks?|ask)"
)
QUERY = Names(
    (
        *("query", "user_query", "utterance", "utt", "text", "sentence", "queries"),
        *("similar_question", "similar_questions"),
        *"相似问 相似问题 相似问法 相似问句 相似说法 扩展问 扩展问题 扩展问法 问法 用户问题".split(),
        *("用户问", "用户问句", "用户提问", "用户问法", "用户说法", "用户输入", "客户问题", "问句", "语料", "提问"),
    ),
    re.compile(
        rf"(?:相似|近似|类似|扩展|拓展|扩充|同义|同类|相近|等价|其[他它]|别名|变体|泛化|衍生|子|副|备用|口语化?|触发|问题的?相似|用户|客户|访客|顾客|"
        rf"会员|来访者?|使用者|买家|学员|患者|乘客|旅客|业主|商家|原始|样例|示例|示范|训练|测试|常[见用]|实际|真实|口语|关键|多样|变种|"
        rf"对话|会话|asr|语音)(?:常[见用])?的?{_ASKED}"
        r"|(?:对话|会话|通话|录音|语音|反馈|工单|投诉|咨询|诉求|留言)(?:识别|转写)?(?:内容|文本|原文|结果)"
        rf"|(?:sim|similar|alt|alternate|alternative|extended?|extra|other|more|related|sub|child|variant|trigger|user|customer|client|caller|ticket|"
        rf"visitor|raw|original|training|train|sample|example)_?{_SPOKEN}"
        rf"|{_SPOKEN}_(?:sim|similar|alt|synonyms|variants?|variations?|examples?|raw|original)"
        r"|utterances?|sentences?|texts|questions|examples|samples|patterns|paraphrases?|variants?|variations?|alternatives?|similars?|synonym_questions?"
        r"|(?:re)?phrasings?|phrases?|also_asked(?:_as)?|(?:用户|客户|访客|顾客)(?:说(?:的话)?|原句|原文)|口语|提问方式|触发词"
        r"|文本|句子|问句|咨询|query文本|相似|相似query|例句|训练语料|近义问法?|同义词问法|问题列表",
    ),
    (
        *("content", "contents", "message", "messages", "msg", "input"),
        *"example sample x q data review comment body request transcript issue similar".split(),
        *("内容", "消息", "句", "例子", "样本", "输入", "正文", "原文", "留言", "发言", "语句", "话术"),
    ),
)
CLEARLY_STANDARD = (
    *("standard_question", "standardquestion", "std_question", "standard", "标准问", "标准问题", "标准问句"),
    *("标准问法", "标准提问"),
)
TYPED = re.compile(  # of standard questions, only beside queries for certain
    "(?:业务|工单|诉求|咨询|投诉|意图|场景|反馈|服务)(?:类型|类别|分类)"
    "|(?:issue|ticket|inquiry|contact|call|case|request|complaint|query)_(?:type|category|reason|topic)|reason_code|intent_(?:id|code)"
)
STANDARD = Names(
    (
        *CLEARLY_STANDARD,
        *"label_text label_desc label_des intent label category class 意图 类别 分类 标签".split(),
        *("labels", "intents", "类目", "问题分类", "问题类型"),
    ),
    re.compile(
        r"(?:所属|归属|对应|匹配|命中|关联|挂载|绑定|正确|目标|人工)的?(?:标准问(?:题|句|法)?|意图|类别|标签|主问题?|知识点?)"
        r"|(?:标准|主|核心|代表|规范|典型|基准|目标|母|业务|[一二三四]级|faq)(?:faq|问(?:题|句|法)?|提问|质问|说法|话术|表述|意图|q|query)"
        rf"|(?:standard|std|canonical|main|primary|master|base|norm|faq)_?{_SPOKEN}"
        rf"|{_SPOKEN}_(?:std|standard|canonical)"
        r"|(?:top|predicted|true|gold|expected|correct|target|user|main|domain|业务|用户)_?(?:output_)?(?:intent|label|class|意图)"
        r"|(?:ml_)?intent_?(?:display|label|class|category|type|master_label|developer_name)|class_?label"
        r"|ground_truth|canonical"
        r"|(?:人工|最终)?标注(?:意图|结果|标签|类别)?|样本(?:标签|类别)|意图(?:识别(?:结果)?|说法)"
        r"|classification_annotation_display_name",
    ),
    (*"target y main topic tag tags cats cat choice choices skill 主题 类型 业务".split(),),
)
TITLES = Names(  # of standard questions beside similar ones; beside plain texts, of articles
    ("title", "name", "faq", "标题", "名称", "知识", "知识点", "主问"),
    re.compile(
        r"(?:article|answer|topic|faq|knowledge|kb|entry)_(?:title|name)|(?:知识|文章|词条|答案)点?(?:标题|名称?)"
    ),
)
# Of an article of a help centre: beside its title, what it says and the words it is filed under.
ARTICLE_TEXTS = frozenset(
    "text body content contents html rendered description description_text 正文 内容 原文 文本".split()
)
ARTICLE_TAGS = frozenset("label_names labels tags tag_list tag 标签".split())
PLAIN_TEXTS = frozenset(("text", "texts", "sentence", "sentences", "文本", "句子"))
# Beside wordings of a question, these names of standard questions say less than 问题 or 标题: they tell its subject.
SUBJECTS = Names(
    (
        *("label", "labels", "category", "class", "类别", "分类", "标签", "类目", "问题分类", "问题类型"),
        *STANDARD.weak,
    ),
    TYPED,
)
_LOGGED = frozenset(("query", "queries", "user_query", "utterance", "utt", *PLAIN_TEXTS))  # in logs as well
EITHER = Names(("question", "问题", "质问"))  # the query beside a label, the standard question beside a query
ID = Names(
    (
        *("id", "question_id", "standard_question_id", "standard_id", "code", "key", "qid", "faq_id"),
        *("编号", "序号", "标准问id", "问题id", "标准问编号", "标准问题id", "标准问题编号", "知识id", "知识编号"),
    )
)
REPLIES = tuple(
    "answer answers response reply 答案 回答 答复 回复 标准答案 答案内容 回复内容 回复话术 答 解决方案".split()
)
_CATEGORY = (
    *("category", "topic", "tag", "tags", "domain", "分类", "类别", "类目", "目录", "业务", "业务线", "主题"),
    *("一级分类", "二级分类", "三级分类", "标签", "知识分类", "问题分类"),
)
_IN_USE = "启用|停用|有效|无效|生效|失效|上线|下线|上架|下架|发布|删除|禁用|审核|可用|开启|关闭"
STATE = Names(
    ("status", "state", "状态", "启用", "停用"),
    re.compile(
        rf"是否已?(?:{_IN_USE})|(?:{_IN_USE})(?:状态|标志|标识|标记)|(?:知识|问题|词条|记录|数据|意图|文章|当前|faq)状态"
        r"|(?:is_)?(?:enabled?|active|valid|published|deleted?|del|disabled?|archived|online|retired)(?:_(?:flag|status|state))?"
        r"|(?:publish|review|audit|approval|article|record|faq|knowledge|entry|question|workflow)_(?:status|state)"
    ),
)
PARTS = Names(  # of the data set that rows belong to
    (
        *("split", "partition", "subset", "set", "dataset", "data_set", "data_split", "ml_use", "数据集", "数据划分"),
        *("划分", "集合", "样本集"),
    )
)
_CHANNEL = ("channel", "channels", "渠道", "适用渠道", "来源渠道", "发布渠道")
VALID_FROM = (
    *("valid_from", "start_date", "effective_from", "effective_date", "生效时间", "生效日期", "开始时间", "开始日期"),
)
VALID_UNTIL = (
    *("valid_to", "valid_until", "end_date", "expires", "expires_at", "expiry", "expiry_date", "有效期", "有效期至"),
    *("失效时间", "失效日期", "过期时间", "过期日期", "结束时间", "结束日期", "截止时间", "截止日期"),
)
PAYLOAD = Names((*REPLIES, *_CATEGORY, *_CHANNEL, *STATE.exact, *VALID_FROM, *VALID_UNTIL), STATE.made)

_NUMBER = re.compile(
    r"[\W_]*(?:\d+|[一二三四五六七八九十]+)[)）\]】]?$|(?:(?<=[\u4e00-\u9fff])|[\W_]+)(?:[ivx]+|[a-z])$"
    r"|^第?\d+[个条号]?_?(?=\D)|^第[一二三四五六七八九十]+[个条]"
)
_NOTE = re.compile(r"[(（\[【][^)）\]】]*[)）\]】]|[\r\n].*|[:：].*", re.S)  # an explanation within a header
_FRAME = re.compile(r"^\s*[【\[「“\"'‘]([^】\]」”\"'’]+)[】\]」”\"'’]\s*$")  # around the whole name
_LEAD = re.compile(r"^(?:(?:\d{1,2}|[a-z])[.、．]\s*|faq\s*[-_:：.]\s*|(?:知识库|kb)\s*[-_.]\s*)(?=\D)", re.I)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SUFFIX = re.compile(
    r"(?<=.)(?:_?(?:names?|texts?|value|list|strings?|str|choices?|文本|名称|内容|列表|集合?|标题|标签|名|文字"
    r"|举例|示例|样例|范例)|_content)$"
)
_PREFIX = re.compile(
    r"^(?:the_|all_|所有|全部|_+source_|fields_|record_|attributes_|node_|intent_(?=utter|train|example|phrase|sample|sentence|quer)|_+)(?=.)"
)
_NESTED = re.compile(  # around a name in JSON: Item.query.S, relationships.intent.data.name
    r"^(?:(?:items?|results?|docs?|rows?|data|payload|properties|relationships|meta(?:data)?|node|_source)\.)+"
    r"|\.(?:data|select|attributes)(?=\.)|\.(?:S|N|value|plain_text)$",
    re.I,
)
_SPACED = re.compile(r"(?<=[\u4e00-\u9fff]) +(?=[\u4e00-\u9fff])")  # 标 准 问
_BETWEEN = re.compile(r"[ \-/.#]+")
_TEXT_OF = re.compile(r"_(?:name|text)$")
_SIMPLE = str.maketrans(
    "標準問題類別圖図戶語單編號狀態內訓練說話擴變體義類標籤輸應屬關聯顧諮詢發発業務識點達質稱見對樣測試啟覆買學審無線",
    "标准问题类别图图户语单编号状态内训练说话扩变体义类标签输应属关联顾咨询发发业务识点达质称见对样测试启复买学审无线",
)
_WORDS = {  # of German, Spanish, Portuguese, French and Russian
    **dict.fromkeys(("frage", "pregunta", "pergunta", "вопрос"), "question"),
    **dict.fromkeys(("anfrage", "consulta", "énoncé", "запрос"), "query"),
    **dict.fromkeys(("absicht", "intención", "intencion", "intention", "intenção", "интент", "намерение"), "intent"),
    **dict.fromkeys(("kategorie", "categoría", "categoria", "catégorie", "категория"), "category"),
}
_FOREIGN = {  # Japanese (in the characters above) and Korean
    **{"ユーザーの?": "user_", "发话": "utterance_", "质问": "question_", "类似": "similar_", "代表|标准": "standard_"},
    **{"インテント": "intent", "テキスト": "text", "ラベル": "label", "カテゴリー?": "category", "タイトル": "_title"},
    **{"言い[换換]え": "paraphrase", "[问問]い合わせ": "query", "回答": "answer"},
    **{
        "사용자_?": "user_",
        "고객_?": "customer_",
        "유사_?": "similar_",
        "(?:대표|표준)_?": "standard_",
        "답변": "answer",
    },
    **{"질문": "question", "발화": "utterance", "문장": "sentence", "예문": "example", "의도|인텐트": "intent"},
    **{"문의": "query", "라벨|레이블": "label", "카테고리|분류": "category"},
}
_FOREIGN_ANY = re.compile("[\u3040-\u30ff\uac00-\ud7af]|质问|发话")
_FOREIGN_ENDS = (("例", "example"), ("文", "text"), ("명", "name"))


def key_of(column: str) -> str:
    """Return what a name of a column is compared by: marks of obligation and explanations in it are left out."""
    name = column[:200]
    name = _FRAME.sub(r"\1", name)
    bare = _NOTE.sub("", name).strip(" \t*＊#\ufeff").removeprefix("//").lstrip() or name
    bare = _SPACED.sub("", _LEAD.sub("", bare) or bare)
    key = _BETWEEN.sub("_", normalise(_CAMEL.sub("_", bare)).translate(_SIMPLE))
    return _translate(key) if _FOREIGN_ANY.search(key) else _WORDS.get(key, key)


def keys_of(header: Sequence[str]) -> list[str]:
    """Return the keys of all columns; what is around a nested one does not count, if no other column has the rest."""
    keys = [key_of(column) for column in header]
    bare = [key_of(_NESTED.sub("", column)) if "." in column else "" for column in header]
    return [
        short if short and short not in keys and bare.count(short) == 1 else key
        for short, key in zip(bare, keys, strict=True)
    ]


def _translate(key: str) -> str:
    """Return a key in English words, as far as these are known."""
    for word, english in _FOREIGN.items():
        key = re.sub(word, english, key)
    for ending, english in _FOREIGN_ENDS:
        key = key.removesuffix(ending) + english if key.endswith(ending) and not key.isascii() else key
    return key.strip("_")


def base_of(key: str) -> str:
    """Return a key without the number of one of several such columns."""
    return _NUMBER.sub("", key) or key


def are_wordings(key: str) -> bool:
    """Whether a key of queries says that they belong to a question, as 相似问 does; a log has queries as well."""
    return key not in _LOGGED and QUERY.rank(key) is not None


def is_subject(key: str) -> bool:
    """Whether a key of standard questions tells what they are about, as 分类 does."""
    return SUBJECTS.rank(base_of(key)) is not None
