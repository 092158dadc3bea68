"""Corpus A: the bot of a hotel desk. Only vocabulary; `grammar.py` explains the notation.

Hotel names are invented; the slots hold generic values.
"""

TOPICS = """
取消酒店订单/取消订单: how can* why fee* rule* deadline* late progress fail undo partial phone arrive* account less
  + notice
  + points coupon force | 预付订单 团购套餐 钟点房 境外酒店 特价房 民宿
  取消订单 取消酒店 退房间 退订酒店 退订 取消预订
  ~ 不住了 去不了了 房间不要了 行程变了住不成
修改入住日期: how can* why fee rule deadline fail again gap force | 预付订单 团购套餐 境外酒店 民宿
  改日期 改入住日期 修改入住时间 改期 换日期
  ~ 晚一天住 提前一天住 改到{date}住 往后挪一天
修改入住人姓名: how can* why fee deadline fail docs | 预付订单 境外酒店 团购套餐
  改入住人 改名字 修改入住人 换入住人 改姓名
  ~ 让我朋友去住 名字写错一个字改过来
更换房型: how can why fee deadline gap again
  换房型 换房 改房型 升级房型 换大床房
  ~ 双床换成大床 换个有窗的房 想住好点的
增加入住人: how can fee rule docs deadline
  加人 加入住人 多住一个人 增加入住人 加一个客人
  ~ 带个朋友一起睡 三个人挤一间
办理入住: how can* why deadline* late docs* proxy phone | 未成年人 外国人 钟点房 民宿 境外酒店 港澳台居民
  办入住 入住 办理入住 登记入住 check in
  ~ 拿房卡 到前台开房 提前进房间
办理退房: how can why deadline* late proxy duration phone | 钟点房 民宿
  退房 办退房 check out 离店
  ~ 走人 把房卡还了 查房走手续
延迟退房: how can* why fee* rule deadline phone | 会员 钟点房 团购套餐
  延迟退房 晚点退房 延时退房 晚退房 推迟退房
  ~ 睡到下午再走 两点再走
提前入住: how can* why fee* rule phone | 会员 团购套餐 民宿
  提前入住 早点入住 上午入住 提早入住
  ~ 一大早就到了想进房 早上九点到能不能先住
续住: how can* why fee rule deadline gap fail | 团购套餐 预付订单 民宿
  续住 续房 加住一晚 延住 再住一天
  ~ 不走了多待一晚
提前离店: can* rule arrive* force fee less | 预付订单 民宿 团购套餐
  提前离店 提前退房 提前走 少住一晚
  ~ 订了三晚只住两晚 有急事今天就走
预订酒店: how can* why docs* proxy rule fail phone notice deadline | 未成年人 外国人 境外酒店 团队 民宿
  订酒店 预订房间 订房 定酒店 订房间
  ~ 找个地方住 {date}要间房
支付房费: how can why fail undo again notice late
  付款 付房费 支付 支付订单 付钱
  ~ 刷信用卡 到店再给钱 用花呗付
退还押金: how can why duration progress proxy arrive* account less* | 民宿 境外酒店
  退押金 押金退还 退回押金 押金退回
  ~ 把压在前台的钱拿回来
预授权解冻: how why duration progress fail notice arrive
  解冻预授权 预授权解冻 预授权取消 解除预授权
  ~ 信用卡冻结的钱放出来
开酒店发票/开发票: how* where can* why fee deadline late duration progress fail | 预付订单 团购套餐 境外酒店 民宿
  开发票 开票 要发票 开住宿发票 开酒店发票
  ~ 公司报销要票 抬头开成公司的
使用酒店积分: how can why rule undo fail proxy
  用积分 积分抵房费 积分兑换 积分换房
  ~ 攒的分花掉 拿积分住一晚
注销会员账号: how can why undo duration docs
  注销账号 销户 注销会员 删账号
  ~ 不用你们app了
登录会员账号: how why fail
  登录 登陆 登录账号 登会员
  ~ 进自己的号
投诉酒店: how where phone duration progress docs undo
  投诉酒店 投诉 举报酒店 反映问题
  ~ 讨个说法 告他们
申请到店无房赔偿: how can why rule docs duration progress
  到店无房赔偿 到店没房赔偿 无房赔付 到店无房
  ~ 到了前台没房让酒店赔
预订团队房: how can fee rule deadline phone limit
  团队房 团体订房 订团队房 会议用房
  ~ 公司{num}个人开会住
早餐: have* price* free* hours place book drop amend quota* gripe unserved | 儿童 团购套餐 钟点房 民宿
  早餐 早饭 自助早餐 双早 早点
  ~ 早上吃的 楼下那个自助
停车场: have* price* free* hours place book who gripe | 民宿 大巴车
  停车场 停车位 停车 车位 地下车库
  ~ 开车来的车放哪 自驾停的地方
游泳池: have price free* hours place book bad gripe who* | 儿童 民宿
  泳池 游泳池 恒温泳池 儿童泳池
  ~ 能下水玩的地方
健身房: have price free hours place gripe bad
  健身房 健身中心 跑步机 gym
  ~ 锻炼的地方
客房wifi/wifi: have price free use bad* gripe | 民宿 境外酒店
  wifi 无线网 房间网络 无线 wifi密码
  ~ 上网的那个 网速
加床: have* price* free* book drop quota | 儿童 民宿 境外酒店
  加床 加一张床 婴儿床 加个床
  ~ 多个孩子睡的小床
接送机服务: have* price free* hours book drop amend gripe delay unserved | 民宿 境外酒店
  接机 接送机 送机 接站 接机服务 机场接送
  ~ 到机场有人接去酒店
洗衣服务: have price free hours gripe
  洗衣 洗衣服务 洗衣房 干洗
  ~ 衣服脏了能洗的地方
行李寄存: have* price free hours place quota | 民宿
  寄存行李 行李寄存 存行李 寄放行李
  ~ 退房后箱子放一下
一次性洗漱用品: have* free price gripe quota unserved | 民宿
  牙刷 洗漱用品 一次性用品 毛巾拖鞋 牙膏牙刷
  ~ 刷牙洗脸的东西
空调: have* bad hours gripe | 民宿
  空调 冷气 暖气 中央空调
  ~ 调温度的那个 制冷的机器
热水: have* hours bad gripe | 民宿
  热水 洗澡水 热水器 淋浴
  ~ 洗澡用的热的水
厨房: have* free use bad | 民宿
  厨房 做饭的地方 厨具 灶台
  ~ 自己煮点东西
房间打扫: have hours free book gripe
  打扫 打扫房间 保洁 客房清洁
  ~ 换床单收垃圾
房卡: lost bad quota miss mixup
  房卡 门卡 钥匙 房间卡
  ~ 刷门的小卡片
酒店优惠券/优惠券: have gain use* check valid quota who bad | 境外酒店 团购套餐 钟点房 民宿
  优惠券 红包 代金券 酒店券 立减券
  ~ 满减的那张 抵{money}块的那张
会员积分/积分: check gain* use valid miss who | 境外酒店 团购套餐 代订
  积分 会员积分 酒店积分 里程积分
  ~ 住一晚攒的分
会员等级: check gain valid who
  会员等级 金卡 会员 钻卡 vip
  ~ 住多少晚升的那个
免费升级房型: have gain who unserved
  免费升房 免费升级 升房 房型升级
  ~ 给我换个大房不加钱
酒店礼品卡: gain use check valid lost drop price
  礼品卡 酒店卡 储值卡 充值卡
  ~ 别人送的卡
团购套餐: price use valid drop amend book check gripe who bad
  团购 套餐 团购券 预售券 酒店套餐
  ~ 直播间抢的那个
钟点房: have price hours book drop
  钟点房 小时房 时租房 四小时房
  ~ 中午睡会儿就走的
儿童乐园: have price free hours place quota who
  儿童乐园 亲子乐园 儿童设施 游乐区
  ~ 小孩玩的地方
亲子房: have price book drop gripe
  亲子房 家庭房 带滑梯的房 主题房
  ~ 带娃住的
无烟房: have book gripe
  无烟房 不抽烟的房间 无烟楼层 禁烟房
  ~ 没烟味的屋
海景房: have price book gripe drop
  海景房 看海的房间 江景房 景观房
  ~ 拉开窗帘是海
酒店订单: check amend
  酒店订单 订单 预订单 我的订单
  ~ 刚下的那单
入住确认短信: miss check amend
  确认短信 确认信息 确认号 入住短信
  ~ 给前台看的那条
住宿发票: miss lost amend check have valid
  发票 住宿发票 电子发票 专票
  ~ 报销用的
住宿押金: price quota
  押金 住店押金 预授权 房间押金
  ~ 前台要压的钱
价格保护: have gain use who
  价格保护 价保 买贵赔 保价
  ~ 订完跌价补给我
遗留物品: check place
  落下的东西 遗留物品 忘拿的东西 落在房间的东西
  ~ 充电器忘床头了
宠物: carry* quota | 民宿 境外酒店
  宠物 狗 猫 小狗
  ~ 我家毛孩子
访客: carry* | 民宿 钟点房
  访客 朋友 客人 外人
  ~ 来看我的人
外卖: carry have gripe
  外卖 外卖小哥 点的外卖
  ~ 外面买的饭
"""

LISTED = ""

CONDITIONS = """
预付订单: 预付的 预付订单 已经付款的订单 先付了钱的
团购套餐: 团购的 套餐 预售券 团购券
钟点房: 钟点房 小时房 时租房
境外酒店: 境外酒店 国外酒店 海外的酒店 {abroad}的酒店
特价房: 特价房 不可取消的房 打折房
民宿: 民宿 公寓 客栈 民宿的房子
未成年人: 未成年人 未满18岁 高中生 学生没成年
外国人: 外国人 老外 外宾 外籍客人
港澳台居民: 港澳台居民 台湾人 香港人 拿回乡证的
会员: 会员 金卡会员 vip会员
代订: 代订 别人帮订的 给客户订的
大巴车: 大巴车 大巴 旅游大巴
"""

CASES = """
到店后前台说没有预订记录怎么办
  前台说没有我的(预订|订单|名字) 到酒店查不到(订单|预订) 前台查不到怎么办 酒店说没收到我的订单
  ~ 站在大堂了，人家说没这单
  - 查不到
订完酒店降价了可以退差价吗
  订完(就|)降价了 酒店降价(退|补)差价吗 昨天订的今天便宜{money} 同一个房型便宜了能补吗 买贵了
  ~ 亏了{money}块，能不能补我
  - 买贵了 怎么又便宜了
酒店订单一直显示待确认怎么办
  一直待确认 (怎么|为什么)还没确认 订单多久确认 酒店什么时候确认 {order}还是待确认
  ~ 等{num}个小时了酒店没个准信
  - 怎么还没好 一直显示处理中
半夜到店房间会保留吗
  (半夜|凌晨|很晚)到(酒店|店)(房间|)(会|还)(保留|留着|有)吗 晚上{num}点到(可以|能)入住吗 晚到会取消吗
  房间保留到几点
  ~ 飞机晚点半夜才到，别把房给别人
  - 晚到
身份证没带怎么入住
  没带身份证(怎么|能)(入住|住)(吗|) 身份证(忘|丢|落家里)了(能住吗|怎么办|) 电子身份证可以入住吗
  用驾照能(住|登记)吗
  - 没带身份证
两个人入住需要两张身份证吗
  两个人要登记两个身份证吗 入住每个人都要身份证吗 一张身份证能住两个人吗 同住的人要登记吗
  ~ 女朋友没带证能一块住不
小孩入住酒店要收费吗
  小孩(住|入住)收费吗 带孩子住要加钱吗 儿童(入住|)(怎么收费|免费吗) {num}岁孩子不占床收费吗
  一大一小住标间要加钱吗
  - 小孩收费吗
房间隔音差可以换房吗
  (太吵|隔音差|隔壁很吵)(能|可以)换房吗 房间(靠马路|靠电梯)太吵 隔音太差 吵得睡不着(能换吗|)
  ~ 隔壁唱了一晚上歌
房间有异味怎么处理
  房间有(味道|霉味|烟味|怪味) 房间(很臭|味道大)(换一间|怎么办) 有烟味能换房吗 下水道(反味|臭)
酒店卫生不合格怎么投诉
  床单(有|)(头发|污渍|血迹)  房间(很脏|不卫生|有虫子|有蟑螂) 卫生太差(怎么投诉|赔偿吗) 毛巾是脏的
  ~ 拍了照片，你们看着办
预订时没有大床房了怎么办
  没有大床房了 大床房(订完了|满房)(怎么办|) 能不能保证大床 大床和双床能指定吗 只剩双床了
酒店满房了还能订吗
  满房了(还能订吗|怎么办) (显示|一直)满房 {hotel}没房了(吗|) 有空房了能通知我吗 {date}还有房吗
  ~ 非住{hotel}不可，能挤一间不
可以只写一个人的名字入住两个人吗
  (订单|)只写一个人名字两个人住可以吗 要写两个人的名字吗 订房填一个名字行吗 入住人要都填吗
酒店距离景点有多远
  {hotel}(离|到)(景点|地铁站|机场|高铁站)(多远|远吗) 酒店到{city}火车站怎么走 附近有地铁吗 离海边近吗
  - 远吗 怎么走
酒店的前台电话是多少
  前台电话 酒店电话(是多少|给我|) {hotel}(的|)电话 联系不上酒店 怎么联系酒店
  - 给个电话 电话是多少
为什么同一酒店不同人看到的价格不一样
  价格怎么不一样 我跟朋友看的价不一样 为什么我的(比|)别人贵 大数据杀熟 新用户(便宜|)价格不一样
  - 价格不一样
"""

SLOTS = """
city: 三亚 北京 上海 成都 昆明 西安 重庆 哈尔滨 厦门 广州 大连 桂林 杭州 深圳 长沙 青岛 苏州 丽江 大理 南京
abroad: 曼谷 东京 首尔 新加坡 巴黎 大阪 普吉岛 巴厘岛
hotel: 云栖里酒店 锦澜国际 青禾精选 星屿度假村 半山听雨 如舍公寓 海棠湾珊瑚酒店 漫巷客栈 七里香酒店 拾光民宿
"""

STORIES = """
我订了{date}的{hotel} {hotel}的房间 我{date}在{city}订的酒店 订单{order} 昨天订的房 订了{num}晚
{city}那家{hotel}
我们{num}个人住 帮朋友订的房 公司出差订的 我现在在前台 已经付款了 在你们app订的 {date}入住 刚下单的 双床房
我人在{city} 一家三口 带老人出去玩
"""
