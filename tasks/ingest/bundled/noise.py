"""What happens to a query between the head and the keyboard: synonyms, politeness, slips. Pure."""

import re
from random import Random

from tasks.ingest.bundled.grammar import pick

SYNONYMS = """
怎么 如何 咋 怎样 咋样 要怎么 该怎么
怎么办 咋办 咋整 如何处理 怎么处理 该怎么解决
多少钱 啥价 多少费用 几块钱 什么价位 多少银子
可以 能 能够 让
什么时候 啥时候 几时 哪天 何时
多久 多长时间 几天 多少天 要等几天
需要 要 得 必须
手续费 退改费 费用 服务费 扣款 违约金
在哪里 在哪 在哪儿 哪边 什么地方
哪里 哪儿 哪边 什么地方
为什么 为啥 怎么 凭啥 什么原因
没有 没 木有 没得
有没有 有木有 有无 是否有
收费 要钱 花钱 扣费 付费
免费 不要钱 白送 不花钱
取消 退掉 撤销 撤掉
修改 改 更改 变更 改一下
到账 到 入账 退回来 收到
退款 退的钱 退钱 返款
优惠券 优惠卷 券 抵扣券 折扣券
发票 票据 报销票 fapiao
身份证 证件 sfz 身份证件
小孩 孩子 娃 小朋友 宝宝 儿子
失败 不成功 没成 弄不了 不行
提示 显示 弹出 说 跳出来
办理 办 弄 搞 操作
查询 查 看 查看 搜
投诉 举报 告 反映
提前 早点 提早 事先
限制 限额 上限 要求
规定 规则 说法 要求 政策
人工 人工客服 真人 客服
电话 号码 热线 tel
短信 信息 消息 通知
订单 单子 单 预订
预订 订 预定 定
酒店 宾馆 旅馆 住的地方
机票 飞机票 票
航班 飞机 班机 班次
行李 箱子 包 东西
火车 高铁 动车 车
高铁 动车 火车 G字头
座位 位子 位置 坐位
车票 票 火车票 高铁票
积分 分 点数 里程
赔偿 赔 补偿 赔付 赔钱
晚点 延误 迟了 误点
价格 价钱 多少钱 费用
早餐 早饭 早点 双早
"""

SLIPS = """
改签 改迁 改千 该签
登机 登记 蹬机
退票 推票 退飘 腿票
值机 值及 直机
托运 拖运 脱运
航班 航斑 行班
选座 选坐 先座
座位 坐位 做位
发票 发飘 法票
行李 行里 行礼
订单 定单 订但
预订 预定 与订
手续费 手序费 首续费
优惠券 优惠卷 优会券
积分 积份 鸡分
账号 帐号 帐户
身份证 身分证 身份正
护照 护招 户照
入住 入驻 如住
退房 推房 腿房
押金 压金 鸭金
早餐 早参 早残
酒店 九店 就店
取消 取销 去消
到账 到帐 道账
退款 退宽 推款
保险 保先 报险
差价 查价 叉价
候补 侯补 后补
取票 去票 取飘
检票 捡票 减票
车厢 车箱 车相
窗口 窗囗 床口
充电宝 充电包 冲电宝
怎么 怎麽 怎磨 怎吗
可以 可已 克以
什么 神马 什吗 甚么
多少 多小 多勺
为什么 为甚么 位什么
已经 以经 己经
需要 须要 需耍
的 得 地
在 再
吗 嘛 么 马
"""

OPENINGS = (
    "你好， 您好 请问 请问一下 亲， 亲亲 在吗 麻烦问下 麻烦问一下， 咨询一下 想问一下 想咨询 问一下 客服， hi， "
    "有人吗， 急！ 急急急 帮忙看下 老师好， 那个， 打扰了， 小姐姐， 我想知道 跪求 不好意思， 哈喽， 喂， "
    "对了， 还有， 话说 我就想问 刚才断线了， 机器人听不懂， 第三次问了， 没人理我？ 求助 弱弱问一句"
)
CLOSINGS = (
    "？ ？ ？ ? 。 ！ ？？ ?? ！！！ ... ，谢谢 谢谢 ，急 急急急 ，在线等 啊 呀 呢 哦 哈 ，麻烦了 ~ 。。。 ，快点 "
    "😭 ，求回复 ，帮帮忙 ，感谢 ，很急 ，说清楚点 ，能不能快点 ，烦死了 ，我等着 了都 来着 ，辛苦"
)


def _read_table(text: str) -> dict[str, tuple[str, ...]]:
    """Lines `word other other` as a dictionary."""
    return {word: tuple(others) for word, *others in map(str.split, text.strip().splitlines())}


def _match_any(table: dict[str, tuple[str, ...]]) -> re.Pattern[str]:
    """A pattern that finds the words of `table`, longest first."""
    return re.compile("|".join(sorted(table, key=lambda word: (-len(word), word))))


_SYNONYMS, _SLIPS = _read_table(SYNONYMS), _read_table(SLIPS)
_FIND_SYNONYM, _FIND_SLIP = _match_any(_SYNONYMS), _match_any(_SLIPS)
_OPENINGS, _CLOSINGS = tuple(OPENINGS.split()), tuple(CLOSINGS.split())


def reword(text: str, rng: Random, share: float) -> str:
    """`text` with each word that has synonyms replaced by one with probability `share`."""

    def swap(match: re.Match[str]) -> str:
        return pick(rng, _SYNONYMS[match[0]]) if rng.random() < share else match[0]

    return _FIND_SYNONYM.sub(swap, text)


def dress(text: str, rng: Random, share: float) -> str:
    """`text` with a greeting before it and something after it, each with probability `share`."""
    if rng.random() < share:
        text = pick(rng, _OPENINGS) + text
    if rng.random() < share:
        text += pick(rng, _CLOSINGS)
    return text


def mistype(text: str, rng: Random) -> str:
    """`text` with one slip: a homophone, or a character lost, doubled, swapped with the next, or a space."""
    slips = list(_FIND_SLIP.finditer(text))
    if slips and rng.random() < 0.7:
        slip = slips[int(rng.random() * len(slips))]
        return text[: slip.start()] + pick(rng, _SLIPS[slip[0]]) + text[slip.end() :]
    if len(text) < 4:
        return text
    at = int(rng.random() * (len(text) - 1))
    head, this, following, tail = text[:at], text[at], text[at + 1], text[at + 2 :]
    middles = (following, this + this + following, following + this, f"{this} {following}")
    return head + pick(rng, middles) + tail
