"""Corpus B: the bot of a train desk, with coaches, ferries, rental cars and attraction tickets beside it.

Only vocabulary; `grammar.py` explains the notation.
"""

TOPICS = """
退火车票/退票: how* where can* why* fee* rule* deadline* late* progress fail undo partial* phone arrive* account*
  + less* notice
  + invoice points coupon cover force* docs* proxy | 学生票 儿童票 卧铺票 团体票 联程票 通票 积分兑换的车票
  + 现金买的车票
  退票 退火车票 退高铁票 退车票 车票退订 把票退了
  ~ 不坐了 不走了 去不成了把钱拿回来 这趟不想坐了
改签火车票/改签: how* where can* why* fee* rule* deadline* late* progress fail undo again* partial* phone less
  + notice
  + gap* force proxy* duration docs* points | 学生票 儿童票 卧铺票 团体票 联程票 积分兑换的车票 现金买的车票
  改签 改签火车票 车票改签 改签高铁票 改期 改车次
  ~ 换一趟车 往后改一天 早走一天 挪到{date} 换成下午的车
变更到站: how* can* why fee rule* deadline* fail again gap | 学生票 儿童票 卧铺票
  变更到站 改到站 换到站 改目的地 变更到达站
  ~ 不去{city}了改去{city} 多坐两站
购买火车票/买火车票: how* where* can* why* docs* proxy* fail* phone limit* deadline* | 学生 儿童 外国人 老人 残疾军人
  + 港澳台居民 临时身份证
  买火车票 买票 购票 订票 订火车票 买高铁票
  ~ 抢回家的票 弄张去{city}的票 给爸妈买票
候补购票: how* can* why* fee rule* deadline* progress fail undo again arrive* partial limit notice | 学生票
  + 儿童票 卧铺票
  候补 候补购票 候补车票 候补票 排队候补
  ~ 没票了排队等 等人家退票给我
抢票: how can why fee* rule progress fail undo arrive* proxy limit duration | 春运 国庆 卧铺票
  抢票 加速抢票 自动抢票 抢火车票
  ~ 让你们帮我刷票 开加速包
取火车票/取票: how* where* can why fee deadline* late* docs* proxy* fail | 学生票 儿童票 异地 港澳台居民
  取票 取火车票 取纸质票 取车票 换纸质票
  ~ 把票打出来 拿蓝色的纸票
支付火车票订单: how can why fail late undo again notice proxy deadline
  支付 付款 付钱 支付订单 火车票支付
  ~ 用花呗付 让朋友付一下
取消火车票订单: how can why fee rule late again undo arrive
  取消订单 取消火车票订单 订单取消
  ~ 没付款的不要了 单子撤掉
刷身份证进站: how can* why fail docs proxy late | 学生票 儿童票 外国人
  刷身份证进站 刷证进站 身份证进站 刷脸进站
  ~ 过闸机 不取票直接进去
选座: how* can* why* fee rule fail undo | 卧铺票 一等座 学生票 儿童票
  选座 选座位 挑座位 在线选座 选铺位
  ~ 要靠窗的 坐一块 要下铺
换座位: how can why fee rule
  换座位 换座 换铺 调座
  ~ 跟人换个下铺 挨着家里人坐
补票: how* where* can* why fee* rule* docs late | 学生票 儿童票 卧铺票 短途
  补票 上车补票 补车票 车上补票
  ~ 先上车后买 坐过站了补上
挂失补办车票/挂失补办: how* where can* why fee* rule deadline docs* late arrive | 学生票 儿童票
  挂失补票 车票挂失 挂失补办 补办车票
  ~ 纸票没了再弄一张
越站乘车: how can* why fee* rule | 学生票 卧铺票
  越站 越站乘车 多坐几站 坐过站
  ~ 买短乘长 买短的坐到底
中途下车: can* rule* fee arrive* less late how | 学生票 卧铺票 联程票
  中途下车 提前下车 半路下车 中途下
  ~ 没到站先走 在{city}就下
办理学生资质核验: how where can why deadline late duration docs proxy fail progress phone
  学生资质核验 学生认证 核验学生证 学生优惠核验
  ~ 学生证刷不出来核一下
办理身份核验: how where can why duration docs proxy fail progress | 外国人 儿童
  身份核验 实名核验 身份验证 实名认证
  ~ 把待核验的过一下
添加乘车人: how can why fail limit undo rule | 儿童 外国人 学生
  添加乘车人 加乘车人 添加乘客 加联系人
  ~ 把爸妈加进去
删除乘车人: how can why fail rule duration
  删除乘车人 删乘客 删联系人 删除乘客
  ~ 把前男友的信息去掉
修改乘车人信息: how* can* why fee deadline docs | 儿童 外国人 学生
  改乘车人信息 改名字 改身份证号 修改乘客信息
  ~ 名字错一个字改过来
登录账号: how why fail docs
  登录 登陆 登录账号 登12306账号
  ~ 进自己的号 密码忘了登进去
注销账号: how can why undo duration docs
  注销账号 销户 注销 删账号
  ~ 不用这个app了
开火车票发票/开发票: how* where can* why deadline* late duration progress fail docs | 学生票 团体票 联程票 退票费
  + 抢票服务费
  开发票 开票 要发票 开火车票发票 开电子发票
  ~ 公司报销要票 换抬头重开
领取报销凭证: how* where* can* why fee deadline* late* docs proxy* | 儿童票 学生票 异地
  领报销凭证 取报销凭证 打报销凭证 打印报销凭证
  ~ 那张蓝纸拿给财务
申请重点旅客服务: how where can fee rule deadline docs undo phone
  重点旅客服务 重点旅客预约 爱心服务 预约重点旅客
  ~ 我奶奶行动不便让人接一下
办理行李托运: how where can why fee* rule* deadline docs proxy late
  托运行李 行李托运 办托运 火车托运
  ~ 大件东西跟车走
积分兑换车票: how* can* why rule fail proxy* undo | 学生票 儿童票
  积分换票 积分兑换 积分换车票 用积分买票
  ~ 铁路会员攒的分花掉
退还候补预付款: how why progress arrive account less duration
  退候补款 候补退款 候补预付款 候补的钱退回
  ~ 没候补上的钱还我
退汽车票: how* where can* why fee* rule* deadline* late* progress fail arrive* account less partial force
  + proxy notice | 儿童票 学生票 往返票
  退汽车票 退大巴票 退客车票 汽车票退票
  ~ 长途车不坐了
改签汽车票: how* can* why fee* rule deadline* late* again gap fail | 儿童票 学生票 往返票
  改签汽车票 汽车票改签 改大巴班次 大巴改签
  ~ 坐下一班客车 换个点的大巴
购买汽车票: how* where can docs* proxy fail limit deadline phone | 儿童 学生 老人 外国人
  买汽车票 订汽车票 买大巴票 订客车票
  ~ 坐长途车去{city}
取汽车票: how where can why docs proxy deadline fail late
  取汽车票 取大巴票 打汽车票 拿汽车票
  ~ 在客运站换纸票
退船票: how* where can* why fee* rule* deadline* late progress arrive* account less partial force proxy |
  + 儿童票 往返票 团体票
  退船票 船票退票 退轮渡票 退邮轮票
  ~ 不坐船了 不上岛了
改签船票: how* can* why fee* rule deadline late again gap | 儿童票 往返票 团体票
  改签船票 船票改签 改船期 换船班
  ~ 坐晚一班的船
购买船票: how* where can* docs* proxy fail limit deadline | 儿童 老人 外国人 带车
  买船票 订船票 买轮渡票 买邮轮票
  ~ 坐船上岛 过海
退景点门票/退门票: how* can* why fee* rule* deadline* late* progress fail arrive* account less partial* force cover |
  + 儿童票 学生票 团体票 年卡 套票
  退门票 退景点票 门票退票 退景区票
  ~ 公园不去了 不玩了
修改游玩日期: how* can* why fee rule deadline late again gap | 儿童票 套票 团体票
  改游玩日期 改门票日期 换日期 改期游玩
  ~ 下雨了换天去 挪到{date}去玩
购买景点门票: how* can* docs* proxy fail limit* deadline* where | 儿童 学生 老人 军人 外国人 残疾人
  买门票 订门票 购票 订景点票
  ~ 进园子要票 逛故宫
换取门票: how* where can why docs* proxy late deadline fail | 儿童票 学生票 套票
  换票 取门票 换门票 兑换门票
  ~ 到窗口拿纸票 验票入园
预约入园: how* can* why deadline* late undo fail docs proxy limit | 年卡 老人 团体
  预约入园 预约 入园预约 预约景区
  ~ 约个时段进去
取消租车: how* can* why fee* rule deadline* late progress undo arrive* less force | 预付订单 国庆 境外
  退租车 租车取消 退租车订单 取消租车订单
  ~ 车不租了 不自驾了
修改租车: how can* why fee rule deadline gap again | 预付订单 境外
  修改租车订单 改租车时间 换车型 改取车时间
  ~ 晚点去拿车 换个大点的车
租车: how* can* docs* proxy fail deadline phone where rule | 外国人 境外 新手司机 老人
  租车 租辆车 自驾租车 租个车
  ~ 弄辆车自己开
还车: how* where can* late* fee deadline proxy duration rule | 异地 境外
  还车 交车 退车 还租的车
  ~ 把车开回去给你们
续租: how can why fee deadline gap fail rule
  续租 续租车 延长租期 多租一天
  ~ 车再开两天
退还租车押金: how why duration progress arrive account less* proxy | 境外
  退押金 退租车押金 押金退还 退违章押金
  ~ 压的几千块还我
火车票: price* check* lost* amend | 学生+ 儿童+ 卧铺+ 一等座+ 商务座+ 无座+ 联程+ 硬座+
  火车票 高铁票 动车票 车票
  ~ 去{city}的票 {train}的票
学生票: price* have* who* quota* valid amend gain | 卧铺+ 一等座+ 往返+
  学生票 学生优惠票 大学生票 半价学生票
  ~ 放假回家便宜的那个
儿童票: price* have* who* quota amend gain free | 卧铺+ 一等座+ 商务座+
  儿童票 小孩票 孩子的票 半票
  ~ {num}岁娃坐车的票
卧铺: price* have* gripe bad free book | 动车+ 高铁+
  卧铺 下铺 软卧 硬卧 铺位
  ~ 能躺着睡的
静音车厢: have price book who gripe place
  静音车厢 安静车厢 静音车 静音座位
  ~ 没有熊孩子的那节
商务座候车室: have price* free* hours place* who* use gripe quota
  商务座候车室 vip候车室 贵宾厅 贵宾候车室
  ~ 坐沙发喝茶等车的
列车: delay* halt* gripe | 春运+ 夜间+ 中转+ 动卧+ 普速+
  列车 火车 高铁 {train} 车次
  ~ {date}去{city}那趟
列车时刻: check* mixup* | 途经站 末班车 首班车
  时刻表 列车时刻 发车时间 到站时间
  ~ {train}几点开
检票口: place* check hours mixup | 中转
  检票口 检票的地方 几号检票口 进站口
  ~ 从哪个口下去
余票: check* have* | 春运 国庆 卧铺 无座
  余票 剩余票 还有没有票 票量
  ~ {date}去{city}还剩几张
起售时间: check* mixup | 春运 国庆 学生票
  起售时间 放票时间 开售时间 开始卖票的时间
  ~ {date}的票哪天开抢
列车餐食: have* price* free* book drop* amend gripe hours unserved | 商务座 清真+ 儿童+
  盒饭 高铁餐 餐食 外卖订餐 车上的饭
  ~ 在车上填肚子的
列车wifi: have* free use bad gripe | 商务座 动车
  高铁wifi wifi 车上无线网 列车wifi
  ~ 车上刷视频的网
充电插座: have* place bad use | 卧铺 二等座 商务座
  充电插座 插座 充电口 usb口
  ~ 手机没电了插哪
随身行李: quota* carry lost* | 儿童 外国人
  行李 随身行李 箱子 大箱子
  ~ 28寸的箱子放哪
遗失物品: check
  落在车上的东西 遗失物品 丢的东西 失物
  ~ 耳机掉座位缝里
火车票发票: miss* lost amend* check have* valid price | 团体票 学生票
  发票 火车票发票 电子发票 电子客票发票
  ~ 报销的票据
火车票报销凭证/报销凭证: lost* check miss have* valid amend price | 儿童票 学生票
  报销凭证 蓝色报销凭证 纸质凭证 行程信息单
  ~ 财务要的那张小票
铁路乘意险: have* price* free drop* check valid who gain amend miss claim* | 儿童 学生
  乘意险 铁路保险 火车意外险 保险
  ~ {num}块钱那个保险
车票优惠券/优惠券: have gain* use* check valid quota who bad | 汽车票 船票 景点门票 租车
  优惠券 立减券 红包 抵用券 火车票券
  ~ 抵{money}块的那张
抢票加速包: have gain price* use check valid quota drop* gripe bad who
  加速包 抢票加速包 加速券 抢票包
  ~ 让好友助力的那个
铁路会员积分/铁路积分: check gain* use* valid miss* who amend quota | 学生 儿童 商务座
  铁路积分 会员积分 积分 铁路会员积分
  ~ 坐高铁攒的分
计次票: have price gain use* valid who* drop amend quota check book bad
  计次票 20次票 定期票 通勤票
  ~ 天天坐高铁上班的套餐
乘车人身份证/身份证: lost* amend valid* check bad | 儿童 老人 外国人
  身份证 证件 乘车证件 护照
  ~ 过闸机刷的那张
临时身份证明: gain* price have valid* use* who | 儿童 电子+
  临时身份证明 临时身份证 电子身份证明 临时乘车证明
  ~ 证没带开的那个条
验证码: miss* bad valid mixup | 登录+ 支付+ 手机号+
  验证码 短信验证码 校验码 图片验证码
  ~ 那几位数字
火车票订单: check* amend drop | 抢票+ 候补+
  订单 火车票订单 购票记录 我的订单
  ~ 刚下的那一单
火车站停车场: have price free place hours book gripe
  停车场 火车站停车 高铁站停车场 停车位
  ~ 开车去坐高铁停哪
行李寄存: have price place hours quota
  行李寄存 寄存处 存包 寄存行李
  ~ 箱子放半天逛街去
母婴候车区: have place free hours gripe
  母婴候车区 母婴室 哺乳室 儿童候车区
  ~ 给孩子喂奶的地方
接站服务: have price book drop amend delay who gripe place unserved
  接站 接站服务 接站的车 高铁接站
  ~ 出站有人举牌接
汽车票: price* check lost amend valid | 儿童+ 学生+ 老人+ 往返+
  汽车票 大巴票 客车票 长途汽车票
  ~ 去{city}的大客车
长途汽车: delay* halt* gripe hours | 春运+ 夜间+ 直达+
  长途汽车 大巴 客车 长途车
  ~ 我坐的那趟大客车
轮渡: delay* halt* gripe hours check | 夜间+ 大风天 往返+
  轮渡 渡船 轮船 渡轮
  ~ 过海那条船
汽车站: place check hours gripe mixup
  汽车站 客运站 上车点 长途站
  ~ 在哪个站坐大巴
定制巴士: have price book drop amend delay* halt* gripe place hours check
  定制巴士 机场巴士 城际巴士 旅游专线
  ~ 家门口上车的大巴
船票: price* check lost amend valid | 儿童+ 老人+ 往返+ 团体+
  船票 轮渡票 渡轮票 邮轮票
  ~ 上岛的票 过海的票
码头: place* check hours gripe mixup | 登船
  码头 渡口 港口 客运码头
  ~ 在哪上船
船上舱位: have price amend book gripe who
  舱位 船舱 客舱 阳台房
  ~ 船上睡觉的
景点门票: price* check* lost* amend valid* use* who | 儿童+ 学生+ 老人+ 军人+ 夜场+
  门票 景点票 景区门票 入园票
  ~ 进园子的票
景点讲解服务: have price free book drop place gripe hours amend
  讲解 导游讲解 讲解员 语音导览
  ~ 有人带着说故事的
景区观光车: have price free hours* place* drop who gripe halt* | 夜间 儿童 老人
  观光车 景区小火车 摆渡车 电瓶车
  ~ 不想走路坐的那个
景区缆车: have price* free hours* place drop who* halt* gripe | 儿童 老人 往返+
  缆车 索道 缆车票 上山索道
  ~ 坐着上山的
景区年卡: have price* gain use* valid lost drop who* amend book* | 儿童+ 老人+ 家庭+
  年卡 景区年票 公园年卡 年票
  ~ 一年随便进的卡
优速通: have price gain use valid who drop quota gripe amend book
  优速通 快速通道票 快速入园 免排队票
  ~ 花钱不排队的
租车押金: price* quota | 境外+ 新能源+
  押金 租车押金 违章押金 预授权
  ~ 租车压的那笔
租车保险: have* price* free drop check valid who* amend gain claim* | 境外+ 新能源+
  租车保险 车险 不计免赔 基本险
  ~ 剐了蹭了能赔的
租车门店: place* check hours* gripe* amend | 机场+ 火车站+ 境外+
  门店 租车点 取车点 取车门店
  ~ 在哪拿车
租来的车: bad* gripe* delay mixup | 境外+
  租的车 车 车子 车辆
  ~ 从你们这开走的那辆
儿童座椅: have* price* free* book drop quota unserved | 租车 接站
  儿童座椅 安全座椅 宝宝椅 儿童安全座椅
  ~ 给娃坐的椅子
送车上门: have* price* free book hours who drop delay | 机场 境外
  送车上门 上门送车 送车 上门取车
  ~ 把车开到我酒店
"""

LISTED = """
carry* send* quota | 高铁 长途汽车 轮船
宠物/猫/狗 白酒/酒/自家酿的酒 水果刀/菜刀/剪刀 打火机/火柴 充电宝/移动电源 自行车/折叠车/公路车 轮椅/电动轮椅
榴莲/臭豆腐/味道大的东西 活鸡/活鱼/活物 指甲油/香水/发胶 滑板车/电动车/平衡车 鱼竿/渔具
行李箱/28寸箱子/三个箱子
药品/中药/酒精 被子/被褥/大包 婴儿车/推车 自热米饭/自热火锅 大提琴/吉他/乐器 海鲜/大闸蟹/冰鲜 鞭炮/仙女棒/烟花
"""

CONDITIONS = """
学生票: 学生票 学生证买的票 学生优惠的票 大学生的票
儿童票: 儿童票 小孩的票 孩子票 小朋友的
卧铺票: 卧铺票 软卧 硬卧票 下铺的票
团体票: 团体票 单位一起买的票 团队票
联程票: 联程票 中转的票 两段连着的
积分兑换的车票: 积分换的票 积分票 铁路积分兑的
现金买的车票: 窗口买的票 现金票 纸质票 车站买的
残疾军人: 残疾军人 伤残军人 残军
港澳台居民: 港澳台居民 台胞 拿回乡证的
临时身份证: 临时身份证 拿临时身份证
一等座: 一等座 商务座 特等座
退票费: 退票费 退票手续费
抢票服务费: 抢票服务费 服务费 加速包的钱
异地: 异地 外地 在别的城市
往返票: 往返票 来回票 双程票
新手司机: 新手司机 刚拿驾照 实习期
境外: 境外 国外 在{abroad}
新能源: 新能源 电动车 电车
预付订单: 预付的 付过钱的 预付订单
春运: 春运 过年 春节
长途汽车: 长途汽车 大巴 客车上
轮船: 轮船 坐船 船上
高铁: 高铁 动车 火车上 高铁动车
外国人: 外国人 老外 拿护照的
"""

CASES = """
没赶上火车车票还能用吗
  没赶上(火车|高铁)(怎么办|) 误车了票还能(用|改签)吗 (堵车|睡过头)错过了车 车开了票还能改吗
  {train}没赶上(能坐下一趟吗|)
  - 没赶上 已经过期了
为什么查不到余票但候补能买
  显示无票怎么候补能买 没票了为什么还能候补 候补成功率高吗 无票是真的没票吗
一张身份证一天能买几张火车票
  一张身份证能买几张票 同一天可以买两张票吗 行程冲突(买不了|怎么办) 同车次能重复买吗 买两趟时间挨着的可以吗
抢票成功率是多少
  抢票成功率(多少|高吗) 抢票靠谱吗 能抢到吗 {date}去{city}抢得到不 加速了还抢不到
  ~ 花了{money}买加速，别骗我
抢票服务费没抢到退吗
  没抢到(服务费|钱|加速包)退吗 抢票失败(钱|服务费)怎么退 没抢到收费吗 抢不到票扣钱吗
  - 钱扣了
没带身份证怎么坐火车
  没带身份证(怎么|能)(坐高铁|坐火车|进站)(吗|) 身份证(忘带|丢|落家里)了怎么坐车 不带身份证能(上车|进站)吗
  电子身份证能坐高铁吗
  - 没带身份证
小孩多高需要买儿童票
  小孩多高(要|)买票 几岁(以下|)免票 {num}岁(要|)买票吗 儿童票按身高还是年龄 免票儿童(怎么上车|要登记吗)
  ~ 我家娃1米2要不要掏钱
一个大人可以带几个免票儿童
  一个大人能带几个孩子(免票|) 带两个小孩怎么买票 两个免票儿童可以吗 带俩娃买几张
火车票可以提前多少天购买
  火车票提前几天(能买|放票|开售) 提前多久能买票 预售期(多久|多少天) 现在能买{date}的票吗 几号能买国庆的票
高铁提前多久停止检票
  高铁(提前|)几分钟停止检票 开车前多久(停止检票|不让进) {train}几点停止检票 检票口几点关
  ~ 还剩{num}分钟跑过去来得及不
要提前多久到火车站
  提前多久到(车站|高铁站) 几点到站合适 {num}点的车几点出门 坐高铁要提前多长时间(到|) 到车站留多少时间
同站换乘时间不够怎么办
  换乘时间不够(怎么办|) 中转时间太短 前一趟晚点赶不上后一趟 {num}分钟换乘来得及吗 换乘要出站吗
一起买的票座位没有连在一起怎么办
  座位没连在一起 一起买的票不在一个车厢 怎么把座位调到一起 (我们|){num}个人座位分开了 带老人孩子座位不在一块
无座票可以坐在哪里
  无座(票|)(坐哪|站哪|能坐餐车吗) 没座位可以坐餐车吗 无座跟有座一个价吗 站票能带小凳子吗
车票显示待核验怎么办
  (身份|)待核验(怎么办|买不了票) 显示待核验 乘车人未通过核验 核验不通过
  - 一直显示处理中
火车票上的姓名错了还能乘车吗
  (车票|)名字错(一个字|)能坐车吗 身份证号填错了能上车吗 名字和身份证不一样能进站吗 票上名字打错了
列车晚点导致误了后面的车怎么办
  前面晚点误了后面的车 火车晚点赶不上(下一趟|飞机)怎么办 {train}晚点误了换乘 晚点误车能免费改签吗
  - 误了后面的行程
景区因天气关闭怎么退票
  下雨景区(关门|不开)(怎么退|退票吗) 景区(闭园|关闭)了(怎么办|怎么退) 天气不好(缆车|)不开能退吗 台风闭园
  - 台风来了
门票扫码提示已使用怎么办
  扫码显示已使用 (门票|二维码)(刷不了|无效|失效) 闸机扫不出来 还没进去就显示用过了 身份证刷不开闸机
  - 用不了
租车出了事故怎么处理
  租车(出了|发生)事故(怎么办|找谁) 车刮了(怎么赔|怎么办) 租的车(撞|追尾)了 剐蹭了要赔多少 出险怎么报
  ~ 倒车蹭了柱子，心慌
租车违章怎么处理
  租车(有|)违章(怎么办|怎么处理|) 违章罚款谁交 超速扣分怎么弄 收到违章通知了 停车被贴条了
取车时加油或充电费怎么算
  还车要加满油吗 油费怎么算 没加满油扣多少 油量不一样怎么办 电量不够要补钱吗
"""

SLOTS = """
city: 北京 上海 广州 武汉 郑州 西安 成都 重庆 南京 杭州 长沙 沈阳 哈尔滨 昆明 贵阳 合肥 济南 兰州 福州 南昌
abroad: 泰国 日本 新西兰 美国 冰岛
train: G102 D3105 G7 K528 Z20 T110 C2001 g1234 d706 G6011 k1063 G85
"""

STORIES = """
我{date}买的去{city}的票 {train}的票 {date}去{city}的 {city}到{city}的 {train} 昨天刚买的 订单{order}
取票号{order}
我们{num}个人回{city} 帮爸妈买的 在你们app上买的 公司给订的 我现在在{city}站 已经付款了 {date}早上的
{city}南站上车
学校放假回家 带着孩子
"""
